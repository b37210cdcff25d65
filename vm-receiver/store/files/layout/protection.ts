/** Protects a session from being pruned by an empty file in its folder. */
import { join } from 'node:path';
import type { SessionName } from '../../../../shared/archive/names.ts';
import { withExclusiveLock } from './exclusive-lock.ts';
import type { Disk } from '../disk/disk.ts';
import { PROTECT } from './paths.ts';
import type { VolumePlace } from './volume-place.ts';
import { damageKindOf } from '../disk/read-error.ts';
import { listSessions } from './sessions.ts';

/** True if it cannot be determined: then the session is kept. */
export function isProtected(disk: Disk, session: string): boolean {
  try {
    return disk.kindOf(join(session, PROTECT)) !== undefined;
  } catch (error) {
    damageKindOf(error);
    return true;
  }
}

/** Durable when it returns; returns whether there is such a session. */
export async function protectSession(place: VolumePlace, session: SessionName, on: boolean): Promise<boolean> {
  const { disk, volume, volumeName } = place;
  const done = await withExclusiveLock(place, `protect ${session} of`, () => {
    const found = listSessions(disk, volume, volumeName).find((each) => each.session === session && !each.hidden);
    if (found === undefined) return false;
    const file = join(found.path, PROTECT);
    if (on) disk.replace(file, '');
    else {
      disk.remove(file);
      disk.syncFolder(found.path);
    }
    return true;
  });
  return done ?? false;
}
