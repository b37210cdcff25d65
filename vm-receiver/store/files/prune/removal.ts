/**
 * Folders that are out of everybody's sight, on their way out.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemCode } from '../../../../shared/errors.ts';
import type { Disk } from '../disk/disk.ts';
import { findChecksums } from '../layout/checksums.ts';
import { HEAD, INDEX } from '../layout/paths.ts';
import type { DedupStore } from '../dedup/dedup-store.ts';
import { rangesOf } from '../layout/range-folders.ts';
import { isPart } from '../layout/session-amount.ts';

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
 * `dedupStore`: undefined where there is none.
 */
export async function removeSession(disk: Disk, session: string, dedupStore: DedupStore | undefined): Promise<number> {
  let bytes = 0;
  for (const folder of rangesOf(disk, session)) {
    const sums = dedupStore === undefined ? undefined : findChecksums(disk, folder)?.sums;
    // The checksums go last: they lead to what the deduplication store has of the others.
    for (const name of disk.list(folder).filter(isPart)) {
      bytes += removeFile(disk, join(folder, name), dedupStore, sums?.get(name));
    }
    await nextTurn();
  }
  for (const name of [HEAD, INDEX]) bytes += removeFile(disk, join(session, name), undefined, undefined);
  await disk.removeTree(session);
  return bytes;
}

/** Gives the bytes that nobody has any more. */
function removeFile(disk: Disk, path: string, dedupStore: DedupStore | undefined, sum: string | undefined): number {
  const entry = disk.entryAt(path);
  if (entry?.kind !== 'file') return 0;
  const { size, links } = entry;
  disk.remove(path);
  if (links === 1) return size;
  return sum !== undefined && dedupStore?.release(sum) === true ? size : 0;
}
