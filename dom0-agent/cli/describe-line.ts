/** The line that the user writes down and compares after `key unlock`. */
import type { ArchiveLine } from '../proven-archive/archive-line.ts';

export function describeLine({ id, sequence, hash }: ArchiveLine): string {
  return `${id}  ${sequence}  ${hash}`;
}
