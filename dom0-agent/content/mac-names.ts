/** The MACs that an archive can have, as `init --identity` and the wrapped record name them. */
export const MAC_NAMES = ['blake2b', 'sha256'] as const;
export type MacName = (typeof MAC_NAMES)[number];
