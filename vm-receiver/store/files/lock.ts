/**
 * Locks on folders by flock(1). The lock belongs to our open file, which the program inherits and locks for us; the
 * kernel drops it when our process ends, however it ends. So there are no stale locks, and nothing to clean up.
 */
import { execa, ExecaError } from 'execa';
import { Refusal } from '../refusal.ts';
import type { Patience } from '../store.ts';
import type { Disk } from './disk.ts';

export type LockMode = 'shared' | 'alone';

/** What flock(1) is told to exit with when the wait is over. */
const STILL_HELD = 75;

export class FolderLock {
  readonly #disk: Disk;
  readonly #fd: number;
  #held = true;

  private constructor(disk: Disk, fd: number) {
    this.#disk = disk;
    this.#fd = fd;
  }

  /** `name` says in errors what the folder is. Waits as long as `patience` has it; 0 seconds means not at all. */
  static async take(disk: Disk, path: string, mode: LockMode, name: string, patience: Patience): Promise<FolderLock> {
    const fd = disk.open(path, 'folder');
    try {
      await flock(fd, mode, name, patience);
    } catch (error) {
      disk.close(fd);
      throw error;
    }
    return new FolderLock(disk, fd);
  }

  /** Whether the name still leads to the folder that is locked. */
  isAt(path: string): boolean {
    const ours = this.#disk.entryOf(this.#fd);
    const there = this.#disk.entryAt(path);
    return there?.inode === ours.inode && there.device === ours.device;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#disk.close(this.#fd);
  }
}

async function flock(fd: number, mode: LockMode, name: string, patience: Patience): Promise<void> {
  const how = mode === 'shared' ? '--shared' : '--exclusive';
  const wait = patience.seconds === 0 ? ['--nonblock'] : ['--timeout', String(patience.seconds)];
  try {
    await execa('flock', [how, ...wait, '--conflict-exit-code', String(STILL_HELD), '3'], {
      // Any open descriptor will do; execa's types know the first few only.
      stdio: ['ignore', 'ignore', 'pipe', fd as 3],
      cancelSignal: patience.signal,
    });
  } catch (error) {
    if (error instanceof ExecaError && error.exitCode === STILL_HELD) {
      throw new Refusal(
        'locked',
        `${name} is in use by another process, and ${patience.seconds} s of waiting are over`,
        {
          cause: error,
          hint: 'Wait for the other one to finish, and try again.',
        },
      );
    }
    if (error instanceof ExecaError && error.isCanceled) {
      throw new Refusal('locked', `stopped waiting for ${name}: the other side is gone`, { cause: error });
    }
    const text = error instanceof ExecaError ? error.shortMessage : String(error);
    throw new Refusal('io', `cannot lock ${name} (${text})`, {
      cause: error,
      hint: 'The receiver needs flock(1) of util-linux, and a file system that has locks.',
    });
  }
}
