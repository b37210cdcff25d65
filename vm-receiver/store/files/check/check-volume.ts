/** Checks all files of a volume, from its first session to its last. */
import { basename, join } from 'node:path';
import { RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { CheckWatcher } from '../../store.ts';
import type { Disk } from '../disk/disk.ts';
import { RANGE, SESSION, inspectFolder, listFolder } from '../layout/inspect-folder.ts';

/** Calls `work` with the current path of a session. */
export type Located = <T>(work: (path: string | undefined) => T | Promise<T>) => Promise<T>;

export class VolumeCheck {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #watcher: CheckWatcher;

  constructor(disk: Disk, archive: string, watcher: CheckWatcher) {
    this.#disk = disk;
    this.#archive = archive;
    this.#watcher = watcher;
  }

  /**
   * `located` passes the session's folder to the work, which is done under the readers' lock; undefined after it was
   * pruned.
   */
  async session(located: Located): Promise<void> {
    const folders = await located((path) => (path === undefined ? [] : this.#session(path)));
    for (const folder of folders) {
      await located(async (path) => {
        if (path !== undefined) await this.#folder(join(path, folder));
      });
    }
  }

  /** Returns its ranges. */
  async #session(path: string): Promise<readonly string[]> {
    await this.#folder(path);
    const { files, kind } = listFolder(this.#disk, path);
    if (kind !== undefined) this.#watcher.damage({ place: this.#nameOf(path), kind });
    return files.filter((name) => RANGE_FOLDER_NAME.test(name)).sort();
  }

  async #folder(path: string): Promise<void> {
    const content = RANGE_FOLDER_NAME.test(basename(path)) ? RANGE : SESSION;
    const after = (bytes: number) => this.#watcher.file(bytes);
    for await (const { file, kind } of inspectFolder(this.#disk, path, content, after)) {
      this.#watcher.damage({ place: this.#nameOf(join(path, file)), kind });
    }
  }

  #nameOf(path: string): string {
    return path.slice(this.#archive.length + 1);
  }
}
