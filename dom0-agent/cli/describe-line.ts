/** The line that is noted on paper, and compared by `key unlock`. */
import type { ArchiveLine } from '../proven-archive/archive-line.ts';

export function describeLine({ id, sequence, hash }: ArchiveLine): string {
  return `${id}  ${sequence}  ${hash}`;
}
