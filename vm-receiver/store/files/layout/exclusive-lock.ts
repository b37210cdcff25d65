/**
 * Exclusive access to a volume: no other process reads it, commits to it, or removes anything. Use it briefly, or in
 * turns: meanwhile no other volume of the archive can be read either.
 */
import { attemptAsync } from '../../refusal.ts';
import type { VolumePlace } from './volume-place.ts';

/** Undefined if there is no such volume; otherwise the result of `work`. */
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
