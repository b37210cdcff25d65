/** Whether a send to an archive is running, by its lock. */
import { join } from 'node:path';
import type { ArchiveId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { Config } from '../config/config.ts';
import { acquireLock } from '../process/flock.ts';
import { ArchiveState } from './archive-state.ts';

/** An archive that is no longer configured counts as idle. */
export function isSendingTo(config: Config): (archive: ArchiveId) => Promise<boolean> {
  return async (archive) => {
    for (const { name } of config.archives) {
      if (!ArchiveState.exists(config.stateDir, name)) continue;
      const state = ArchiveState.open(config.stateDir, name);
      if (state.record.archive === archive) return isHeld(join(state.folder, 'lock'));
    }
    return false;
  };
}

async function isHeld(path: string): Promise<boolean> {
  try {
    (await acquireLock(path, { exclusive: true, waitSeconds: 0 })).release();
    return false;
  } catch (error) {
    if (error instanceof SparsebakError && error.code === 'locked') return true;
    throw error;
  }
}
