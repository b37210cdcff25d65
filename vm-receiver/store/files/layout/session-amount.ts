/** Counts the files and bytes in the ranges of a session's folder. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME } from '../../../../shared/archive/address.ts';
import type { Disk } from '../disk/disk.ts';
import { PAGE } from './paths.ts';
import { rangesOf } from './range-folders.ts';

/** Chunks, including those of zeros, and bytes of chunks and pages. */
export interface Amount {
  files: number;
  zeros: number;
  bytes: number;
}

export async function amountIn(disk: Disk, session: string): Promise<Amount> {
  const amount: Amount = { files: 0, zeros: 0, bytes: 0 };
  for (const folder of rangesOf(disk, session)) {
    for (const name of disk.list(folder).filter(isPart)) {
      const size = disk.entryAt(join(folder, name))?.size ?? 0;
      amount.bytes += size;
      if (name === PAGE) continue;
      amount.files += 1;
      if (size === 0) amount.zeros += 1;
    }
    await nextTurn();
  }
  return amount;
}

/** Whether a file of this name in a range's folder is a chunk or a page. */
export function isPart(name: string): boolean {
  return name === PAGE || CHUNK_FILE_NAME.test(name);
}
