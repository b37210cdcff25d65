/**
 * Locks between processes that the kernel drops when their holder dies in any way: flock(2) on a file of our own. Node
 * has no such call. flock(1) gets our descriptor by inheritance and locks it; the lock belongs to the open file that
 * both share, so it stays when flock(1) ends, and ends when our descriptor is closed.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { isWaitedFor } from '../../shared/lock-waiters.ts';
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';

export interface Lock {
  release(): void;
  /** Whether another process visibly waits for it. */
  isWaitedFor(): boolean;
}

export interface LockOptions {
  /** Exclusive, or shared with other holders that are not exclusive. */
  readonly exclusive: boolean;
  readonly waitSeconds: number;
  /** Called once if another holds the lock and the wait begins. */
  readonly onWait?: () => void;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** flock(1)'s exit status for "held by another". */
const HELD = 75;

/**
 * @param path created if it is missing, never removed
 * @throws SparsebakError `locked` when the wait is over, `interrupted` when it was ended
 */
export async function acquireLock(path: string, options: LockOptions): Promise<Lock> {
  const { exclusive, waitSeconds, onWait, signal } = options;
  const fd = openLockFile(path);
  const mode = exclusive ? '--exclusive' : '--shared';
  try {
    if (!(await lock(fd, path, [mode, '--nonblock']))) {
      onWait?.();
      if (waitSeconds <= 0 || !(await lock(fd, path, [mode, '--timeout', String(waitSeconds)], signal))) {
        throw new SparsebakError('locked', `another sparsebak holds ${path}`, {
          hint: 'Wait until it has finished, or allow more time with --lock-wait.',
        });
      }
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return onceReleased(fd);
}

function openLockFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw asSparsebakError(error, 'io', `the lock file ${path}`);
  }
}

/** Whether the lock is ours now. */
async function lock(fd: number, path: string, options: readonly string[], signal?: AbortSignal): Promise<boolean> {
  const { execa } = await import('execa');
  const result = await execa('flock', [...options, '--conflict-exit-code', String(HELD), '3'], {
    // Its types know the descriptors 3 to 9 only; it takes any.
    stdio: ['ignore', 'ignore', 'pipe', fd as 3],
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (result.exitCode === 0) return true;
  // A terminal's interrupt reaches flock(1) by itself.
  if (signal?.aborted === true) throw new SparsebakError('interrupted', `interrupted while waiting for ${path}`);
  if (result.exitCode === HELD) return false;
  throw new SparsebakError('failed', `flock could not lock ${path}: ${result.stderr || result.message}`, {
    hint: 'flock(1) of util-linux must be installed.',
    cause: result,
  });
}

function onceReleased(fd: number): Lock {
  let held = true;
  return {
    isWaitedFor: () => held && isWaitedFor(fstatSync(fd, { bigint: true }).ino),
    release() {
      if (held) closeSync(fd);
      held = false;
    },
  };
}
