/**
 * Locks on folders. A lock belongs to our open file of the folder; the kernel drops it when our process ends in any
 * way. So there are no stale locks.
 */
import { systemCode } from '../../../../shared/errors.ts';
import { Refusal, asRefusal } from '../../refusal.ts';
import type { Patience } from '../../store.ts';
import type { Disk, LockMode } from './disk.ts';

export class FolderLock {
  readonly #disk: Disk;
  readonly #fd: number;
  #held = true;

  private constructor(disk: Disk, fd: number) {
    this.#disk = disk;
    this.#fd = fd;
  }

  /**
   * Waits as long as `patience` allows; 0 seconds means not at all. `name` names the folder in errors. Throws the
   * system's error if there is no such folder.
   */
  static async take(disk: Disk, path: string, mode: LockMode, name: string, patience: Patience): Promise<FolderLock> {
    return await FolderLock.takeOpen(disk, () => disk.open(path, 'folder'), mode, name, patience);
  }

  /** The same for anything that `open` opens. */
  static async takeOpen(
    disk: Disk,
    open: () => number,
    mode: LockMode,
    name: string,
    patience: Patience,
  ): Promise<FolderLock> {
    const fd = open();
    try {
      await lock(disk, fd, mode, name, patience);
    } catch (error) {
      disk.close(fd);
      throw error;
    }
    return new FolderLock(disk, fd);
  }

  /** Whether the name still leads to the locked folder. */
  isAt(path: string): boolean {
    const ours = this.#disk.entryOf(this.#fd);
    const there = this.#disk.entryAt(path);
    return there?.inode === ours.inode && there.device === ours.device;
  }

  get isWaitedFor(): boolean {
    return this.#disk.isWaitedFor(this.#fd);
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#disk.close(this.#fd);
  }
}

async function lock(disk: Disk, fd: number, mode: LockMode, name: string, patience: Patience): Promise<void> {
  let taken: boolean;
  try {
    taken = await disk.lock(fd, mode, patience);
  } catch (error) {
    if (patience.signal.aborted) {
      throw new Refusal('locked', `stopped waiting for ${name}: the other side is gone`, { cause: error });
    }
    if (systemCode(error) !== 'ENOENT') throw asRefusal(error, `lock ${name}`);
    throw new Refusal('io', `cannot lock ${name}: there is no program flock`, {
      cause: error,
      hint: 'Install util-linux in the backup VM.',
    });
  }
  if (!taken) {
    throw new Refusal('locked', `${name} is in use by another process, and ${patience.seconds} s of waiting are over`, {
      hint: 'Wait for it to finish, and try again.',
    });
  }
}
