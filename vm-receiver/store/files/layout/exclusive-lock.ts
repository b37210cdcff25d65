/**
 * A volume to oneself: no other process reads it, commits to it, or removes anything. For a moment, or in turns: nobody
 * reads any other volume of the archive meanwhile, either.
 */
import { attemptAsync } from '../../refusal.ts';
import type { VolumePlace } from './volume-place.ts';

/** Undefined where there is no such volume; otherwise what `work` gives. */
export async function withExclusiveLock<T>(
  { disk, volume, volumeName, locks }: VolumePlace,
  what: string,
  work: () => T | Promise<T>,
): Promise<T | undefined> {
  return await attemptAsync(`${what} ${volumeName}`, async () => {
    if (disk.kindOf(volume) !== 'folder') return undefined;
    return await locks.reading.during('alone', () =>
      locks.changing.during('alone', () => (disk.kindOf(volume) === 'folder' ? work() : undefined)),
    );
  });
}
