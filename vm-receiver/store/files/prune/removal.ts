/** Removes folders that are already hidden. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemCode } from '../../../../shared/errors.ts';
import type { Disk } from '../disk/disk.ts';
import { findChecksums } from '../layout/checksums.ts';
import { HEAD, INDEX } from '../layout/paths.ts';
import type { DedupStore } from '../dedup/dedup-store.ts';
import { rangesOf } from '../layout/range-folders.ts';
import { isPart } from '../layout/session-amount.ts';

/** Undefined if another process finished first. Two processes may remove the same folder. */
export async function unlessRemoved<T>(disk: Disk, path: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && disk.kindOf(path) === undefined) return undefined;
    throw error;
  }
}

/**
 * Removes a session's folder; returns the bytes of removed files: shared ones stay. `dedupStore`: undefined if there is
 * none.
 */
export async function removeSession(disk: Disk, session: string, dedupStore: DedupStore | undefined): Promise<number> {
  let bytes = 0;
  for (const folder of rangesOf(disk, session)) {
    const sums = dedupStore === undefined ? undefined : findChecksums(disk, folder)?.sums;
    // The checksums are removed last: they lead to the other files' names in the deduplication store.
    for (const name of disk.list(folder).filter(isPart)) {
      bytes += removeFile(disk, join(folder, name), dedupStore, sums?.get(name));
    }
    await nextTurn();
  }
  for (const name of [HEAD, INDEX]) bytes += removeFile(disk, join(session, name), undefined, undefined);
  await disk.removeTree(session);
  return bytes;
}

/** Returns the bytes that were freed. */
function removeFile(disk: Disk, path: string, dedupStore: DedupStore | undefined, sum: string | undefined): number {
  const entry = disk.entryAt(path);
  if (entry?.kind !== 'file') return 0;
  const { size, links } = entry;
  disk.remove(path);
  if (links === 1) return size;
  return sum !== undefined && dedupStore?.release(sum) === true ? size : 0;
}
