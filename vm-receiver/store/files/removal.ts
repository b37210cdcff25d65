/**
 * Folders that are out of everybody's sight, on their way out.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../shared/archive/address.ts';
import { systemCode } from '../../../shared/errors.ts';
import { Refusal } from '../refusal.ts';
import type { Patience } from '../store.ts';
import type { Disk } from './disk.ts';
import { FolderLock } from './lock.ts';
import { HEAD, INDEX, PAGE } from './paths.ts';

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
    for (const name of disk.list(folder)) {
      if (name !== PAGE && !CHUNK_FILE_NAME.test(name)) continue;
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

/** Does it unless somebody else does it already, or it is done: then gives undefined. */
export async function withRemoval<T>(disk: Disk, path: string, work: () => Promise<T>): Promise<T | undefined> {
  let lock: FolderLock;
  try {
    lock = await FolderLock.take(disk, path, 'alone', 'a folder that is being removed', NO_PATIENCE);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || (error instanceof Refusal && error.answer === 'locked')) return undefined;
    throw error;
  }
  try {
    return lock.isAt(path) ? await work() : undefined;
  } finally {
    lock.release();
  }
}

const NO_PATIENCE: Patience = { seconds: 0, signal: new AbortController().signal };

/** Removes a session's folder; gives the bytes of stored files that are gone with it. */
export async function removeSession(disk: Disk, session: string): Promise<number> {
  let bytes = 0;
  for (const folder of rangesOf(disk, session)) {
    for (const name of disk.list(folder))
      bytes += removeFile(disk, join(folder, name), name === PAGE || CHUNK_FILE_NAME.test(name));
    await nextTurn();
  }
  for (const name of [HEAD, INDEX]) bytes += removeFile(disk, join(session, name), true);
  await disk.removeTree(session);
  return bytes;
}

function removeFile(disk: Disk, path: string, counts: boolean): number {
  const entry = disk.entryAt(path);
  if (entry?.kind !== 'file') return 0;
  disk.remove(path);
  return counts ? entry.size : 0;
}

function rangesOf(disk: Disk, session: string): string[] {
  return disk
    .list(session)
    .filter((name) => RANGE_FOLDER_NAME.test(name))
    .map((name) => join(session, name))
    .filter((path) => disk.kindOf(path) === 'folder');
}
