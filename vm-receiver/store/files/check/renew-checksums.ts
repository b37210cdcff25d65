/**
 * Checksums made again, for files that have none since the list in their folder is lost or damaged. What they say then
 * is what the files are now: whoever asks for it has had their content proven by dom0 before.
 */
import { join } from 'node:path';
import { checksumLine, findChecksums } from '../layout/checksums.ts';
import { hashFile } from '../layout/compare-files.ts';
import type { Disk } from '../disk/disk.ts';
import type { Content } from '../layout/inspect-folder.ts';
import { maxLength } from '../layout/max-lengths.ts';
import { ifPossible, writeOwn } from '../disk/own-file.ts';
import { CHECKSUMS, SIZE } from '../layout/paths.ts';
import { readSize } from '../layout/size-file.ts';

/** Lines that are intact stay. Gives how many were added; durable when it returns. */
export function renewChecksums(disk: Disk, folder: string, { belongs }: Content): number {
  const sums = new Map(findChecksums(disk, folder)?.sums);
  let added = 0;
  for (const file of disk.list(folder).filter(belongs).sort()) {
    if (sums.has(file)) continue;
    // A size that is not known for certain would become one that is.
    if (file === SIZE && readSize(disk, folder) === Infinity) continue;
    const digest = ifPossible(() => hashFile(disk, join(folder, file), maxLength(file)).digest);
    if (digest === undefined) continue;
    sums.set(file, digest);
    added += 1;
  }
  const text = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, sum]) => checksumLine(sum, file));
  return writeOwn(disk, join(folder, CHECKSUMS), text.join('')) ? added : 0;
}
