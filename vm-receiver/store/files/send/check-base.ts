/** Checks the base of a new session: when a send begins and again, under the lock, when it commits. */
import { Refusal } from '../../refusal.ts';
import type { SendRequest } from '../../store.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { listSessions, newestEver, newestVisible } from '../layout/sessions.ts';

/** @throws Refusal `stale-base`, or `bad-request` for a name that is not above all earlier ones of the volume */
export function checkBase({ disk, volume, volumeName }: VolumePlace, { base, session }: SendRequest): void {
  const sessions = listSessions(disk, volume, volumeName);
  const newest = newestVisible(sessions)?.session ?? null;
  if (newest !== base) {
    const text = `the newest session of ${volumeName} is ${newest ?? 'none'}, not ${base ?? 'none'}`;
    throw new Refusal('stale-base', text);
  }
  const highest = newestEver(disk, volume, sessions);
  if (highest !== undefined && session <= highest) {
    throw new Refusal('bad-request', `${session} is not above ${highest}, which ${volumeName} already had`);
  }
}
