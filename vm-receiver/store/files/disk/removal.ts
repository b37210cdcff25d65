/**
 * Folders that are out of everybody's sight, on their way out.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME } from '../../../../shared/archive/address.ts';
import { systemCode } from '../../../../shared/errors.ts';
import type { Disk } from './disk.ts';
import { findChecksums } from '../layout/checksums.ts';
import { HEAD, INDEX, PAGE } from '../layout/paths.ts';
import type { DedupStore } from '../dedup/dedup-store.ts';
import { rangesOf } from '../layout/range-folders.ts';

/** Chunks, those of zeros included, and bytes of chunks and pages. */
export interface Amount {
  files: number;
  zeros: number;
  bytes: number;
}

/** What the ranges of a session's folder hold. */
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

function isPart(name: string): boolean {
  return name === PAGE || CHUNK_FILE_NAME.test(name);
}

/** Undefined where another process was done with it before us. Two that remove the same folder do no harm. */
export async function unlessRemoved<T>(disk: Disk, path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && disk.kindOf(path) === undefined) return undefined;
    throw error;
  }
}

/**
 * Removes a session's folder; gives the bytes of stored files that are gone with it: what others share, stays.
 * `pool`: undefined where there is none.
 */
export async function removeSession(disk: Disk, session: string, pool: DedupStore | undefined): Promise<number> {
  let bytes = 0;
  for (const folder of rangesOf(disk, session)) {
    const sums = pool === undefined ? undefined : findChecksums(disk, folder)?.sums;
    // The checksums go last: they lead to what the pool has of the others.
    for (const name of disk.list(folder).filter(isPart)) {
      bytes += removeFile(disk, join(folder, name), pool, sums?.get(name));
    }
    await nextTurn();
  }
  for (const name of [HEAD, INDEX]) bytes += removeFile(disk, join(session, name), undefined, undefined);
  await disk.removeTree(session);
  return bytes;
}

/** Gives the bytes that nobody has any more. */
function removeFile(disk: Disk, path: string, pool: DedupStore | undefined, sum: string | undefined): number {
  const entry = disk.entryAt(path);
  if (entry?.kind !== 'file') return 0;
  const { size, links } = entry;
  disk.remove(path);
  if (links === 1) return size;
  return sum !== undefined && pool?.release(sum) === true ? size : 0;
}
