/**
 * Makes checksums for files that have none because the list in their folder is lost or damaged. They describe the
 * files' current content, so dom0 must verify that first.
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

/** Intact lines stay. Returns how many were added; durable when it returns. */
export function renewChecksums(disk: Disk, folder: string, { belongs }: Content): number {
  const sums = new Map(findChecksums(disk, folder)?.sums);
  let added = 0;
  for (const file of disk.list(folder).filter(belongs).sort()) {
    if (sums.has(file)) continue;
    // An uncertain size must not get a checksum, which would make it certain.
    if (file === SIZE && readSize(disk, folder) === Infinity) continue;
    const digest = ifPossible(() => hashFile(disk, join(folder, file), maxLength(file)).digest);
    if (digest === undefined) continue;
    sums.set(file, digest);
    added += 1;
  }
  const text = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, sum]) => checksumLine(sum, file));
  return writeOwn(disk, join(folder, CHECKSUMS), text.join('')) ? added : 0;
}
