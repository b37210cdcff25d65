/** The owner and mode of a file, as one text for comparing. */
import type { BigIntStats } from 'node:fs';

/** `user:group mode`, the mode octal: `1000:1000 600`. */
export function ownershipOf({ uid, gid, mode }: Pick<BigIntStats, 'uid' | 'gid' | 'mode'>): string {
  return `${uid}:${gid} ${(mode & 0o7777n).toString(8)}`;
}
