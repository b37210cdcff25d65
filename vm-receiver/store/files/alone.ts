/**
 * A volume to oneself: no other process reads it, commits to it, or takes anything away.
 */
import { attemptAsync } from '../refusal.ts';
import { FolderLock } from './lock.ts';
import type { VolumePlace } from './place.ts';

/** Undefined where there is no such volume; otherwise what `work` gives. */
export async function aloneIn<T>(
  place: VolumePlace,
  what: string,
  work: (lock: FolderLock) => T | Promise<T>,
): Promise<T | undefined> {
  const { disk, id, volume, volumeName, patience, readers } = place;
  return await attemptAsync(`${what} ${volumeName}`, async () => {
    if (disk.kindOf(volume) !== 'folder') return undefined;
    // Our own shared lock would be in the way.
    readers.release(id);
    const lock = await FolderLock.take(disk, volume, 'alone', volumeName, patience);
    try {
      return lock.isAt(volume) ? await work(lock) : undefined;
    } finally {
      lock.release();
    }
  });
}
