/** Only one dom0 may write to an archive, and in it one command at a time. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { SparsebakError } from '../../shared/errors.ts';
import type { ArchiveConfig } from '../config/config.ts';
import { acquireLock, type Lock } from '../process/flock.ts';
import type { ArchiveState } from './archive-state.ts';
import type { OpenArchive } from './open-archive.ts';

export interface LockOptions {
  readonly archive: ArchiveConfig;
  readonly state: ArchiveState;
  /** Seconds. */
  readonly lockWait: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Held for a complete send or change. @throws `locked`, `interrupted` */
export async function lockArchive({ archive, state, lockWait, log, signal }: LockOptions): Promise<Lock> {
  const lock = await acquireLock(join(state.folder, 'lock'), {
    exclusive: true,
    waitSeconds: lockWait,
    signal,
    onWait: () => {
      log.warn(`waiting for another command that writes to archive ${archive.name}`);
    },
  });
  if (!state.isReplaced(archive.name)) return lock;
  lock.release();
  throw new SparsebakError('failed', `archive ${archive.name} was recreated or reopened by another command meanwhile`, {
    hint: 'Run the command again.',
  });
}

/** @throws `refused` */
export function refuseForeignWriter({ pinned, state }: OpenArchive): void {
  if (pinned.catalogue.writer === state.settings.writer) return;
  throw new SparsebakError('refused', 'another dom0 writes to this archive; this one may only read it', {
    hint: 'Send from that dom0, use a separate archive, or take this one over with "sparsebak adopt".',
  });
}
