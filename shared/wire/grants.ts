/** What a receiver lets a caller do. Each includes `retrieve`; `all` is everything (local and ssh). */
export const GRANTS = ['receive', 'retrieve', 'maintain', 'all'] as const;
export type Grant = (typeof GRANTS)[number];
