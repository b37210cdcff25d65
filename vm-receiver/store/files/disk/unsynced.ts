/**
 * Files and folders that were written and are not durable yet. A few are synced one by one, which costs no process; for
 * more, one sync of the whole file system is cheaper.
 */
import type { Disk } from './disk.ts';

/** Up to this many files and folders are synced one by one. */
const FEW = 64;

export class Unsynced {
  readonly #disk: Disk;
  readonly #paths = new Set<string>();
  #areMany = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Adds a file with new content, or a folder with changed entries. */
  add(path: string): void {
    if (this.#areMany) return;
    this.#paths.add(path);
    if (this.#paths.size <= FEW) return;
    this.#areMany = true;
    this.#paths.clear();
  }

  /**
   * Makes everything durable, and more if that is cheaper. `within`: any path on the same file system. A failure is
   * never retried: the data may be lost even if the next sync succeeds.
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
