/**
 * What was written and is not durable yet. A few files are made so one by one, which costs no process; from some number
 * on one sync of the whole file system is cheaper than all of theirs.
 */
import type { Disk } from './disk.ts';

/** Files and folders that are still synced one by one. */
const FEW = 64;

export class Unsynced {
  readonly #disk: Disk;
  readonly #paths = new Set<string>();
  #areMany = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** A file that has new content, or a folder that has other entries. */
  add(path: string): void {
    if (this.#areMany) return;
    this.#paths.add(path);
    if (this.#paths.size <= FEW) return;
    this.#areMany = true;
    this.#paths.clear();
  }

  /**
   * Makes all of it durable, and more where that is cheaper. `within`: anything on the same file system. A failure is
   * never retried: what it was about may be lost though the next sync succeeds.
   */
  async sync(within: string): Promise<void> {
    const paths = [...this.#paths];
    const areMany = this.#areMany;
    this.#paths.clear();
    this.#areMany = false;
    if (areMany) await this.#disk.syncFileSystem(within);
    else await this.#disk.syncEach(paths);
  }
}
