/**
 * The lock on dom0's state. A snapshot is ours before any pairing.json names it, so whoever removes unnamed snapshots
 * must know that nobody is between the two steps: each step of capture runs under this lock.
 */
import { join } from 'node:path';
import { makeFolderDurably } from '../../shared/durable.ts';
import { acquireLock } from '../link/flock.ts';

/** Seconds that a step of a send under way waits: hours of sending must not be lost to a capture that takes its time. */
const PATIENCE = 3600;

export interface StateLock {
  /**
   * Runs the work while no other process changes the state.
   * @param patient for a step of a send that is under way
   */
  hold<T>(work: () => Promise<T>, patient?: 'patient'): Promise<T>;
}

export interface StateLockOptions {
  readonly waitSeconds: number;
  readonly onWait?: (path: string) => void;
  readonly signal?: AbortSignal;
}

export function stateLock(stateDir: string, { waitSeconds, onWait, signal }: StateLockOptions): StateLock {
  const path = join(stateDir, 'state.lock');
  return {
    async hold(work, patient) {
      makeFolderDurably(stateDir);
      const lock = await acquireLock(path, {
        exclusive: true,
        signal,
        waitSeconds: patient === undefined ? waitSeconds : Math.max(waitSeconds, PATIENCE),
        ...(onWait === undefined ? {} : { onWait: () => onWait(path) }),
      });
      try {
        return await work();
      } finally {
        lock.release();
      }
    },
  };
}
