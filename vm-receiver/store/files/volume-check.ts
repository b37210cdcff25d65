/**
 * Everything that a volume stores, read from its first session to its last.
 */
import { basename, join } from 'node:path';
import { RANGE_FOLDER_NAME } from '../../../shared/archive/address.ts';
import type { CheckWatcher } from '../store.ts';
import type { Disk } from './disk.ts';
import { RANGE, SESSION, inspectFolder, listFolder } from './inspect.ts';

export class VolumeCheck {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #watcher: CheckWatcher;

  constructor(disk: Disk, archive: string, watcher: CheckWatcher) {
    this.#disk = disk;
    this.#archive = archive;
    this.#watcher = watcher;
  }

  /** `locate` gives the session's folder under the volume's lock, again and again; undefined once it was pruned. */
  async session(locate: () => Promise<string | undefined>): Promise<void> {
    const first = await locate();
    if (first === undefined) return;
    await this.#folder(first);
    const { files, problem } = listFolder(this.#disk, first);
    if (problem !== undefined) this.#watcher.damage({ place: this.#nameOf(first), problem });
    for (const folder of files.sort()) {
      if (!RANGE_FOLDER_NAME.test(folder)) continue;
      const path = await locate();
      if (path === undefined) return;
      await this.#folder(join(path, folder));
    }
  }

  async #folder(path: string): Promise<void> {
    const content = RANGE_FOLDER_NAME.test(basename(path)) ? RANGE : SESSION;
    const after = (bytes: number) => this.#watcher.file(bytes);
    for await (const { file, problem } of inspectFolder(this.#disk, path, content, after)) {
      this.#watcher.damage({ place: this.#nameOf(join(path, file)), problem });
    }
  }

  #nameOf(path: string): string {
    return path.slice(this.#archive.length + 1);
  }
}
