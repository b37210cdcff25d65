/**
 * Compares a volume's files with the checksums beside them. A folder at a time: a range has 1025 files at the most.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../shared/archive/address.ts';
import type { CheckWatcher, Problem } from '../store.ts';
import { readChecksums } from './checksums.ts';
import type { Disk } from './disk.ts';
import { CHECKSUMS, HEAD, INDEX, PAGE, SIZE } from './paths.ts';
import { problemOf } from './problem.ts';
import { readFully, withFile } from './small-file.ts';

const BUFFER = 256 * 1024;

export class VolumeCheck {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #watcher: CheckWatcher;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);

  constructor(disk: Disk, archive: string, watcher: CheckWatcher) {
    this.#disk = disk;
    this.#archive = archive;
    this.#watcher = watcher;
  }

  /** `locate` gives the session's folder under the volume's lock, again and again; undefined once it was pruned. */
  async session(locate: () => Promise<string | undefined>): Promise<void> {
    let path = await locate();
    if (path === undefined) return;
    await this.#folder(path, (name) => [HEAD, INDEX, SIZE].includes(name), [HEAD, INDEX, SIZE]);
    for (const folder of this.#list(path).sort()) {
      if (!RANGE_FOLDER_NAME.test(folder)) continue;
      path = await locate();
      if (path === undefined) return;
      await this.#folder(join(path, folder), (name) => name === PAGE || CHUNK_FILE_NAME.test(name), []);
    }
  }

  /** `belongs` tells the names that are listed there; of these `required` must be. */
  async #folder(path: string, belongs: (name: string) => boolean, required: readonly string[]): Promise<void> {
    const sums = this.#checksums(path);
    if (sums === undefined) return;
    for (const [name, sum] of sums) {
      if (!belongs(name)) continue;
      this.#file(join(path, name), sum);
      await nextTurn();
    }
    const there = this.#list(path).filter(belongs);
    for (const name of there) if (!sums.has(name)) this.#found(join(path, name), 'unlisted');
    for (const name of required) {
      if (!sums.has(name) && !there.includes(name)) this.#found(join(path, name), 'missing');
    }
  }

  /** By name; undefined when they cannot be had, and that was reported. */
  #checksums(path: string): ReadonlyMap<string, string> | undefined {
    const file = join(path, CHECKSUMS);
    try {
      const checksums = readChecksums(this.#disk, path, this.#nameOf(path));
      if (checksums === undefined) this.#found(file, 'missing');
      else if (checksums.damaged) this.#found(file, 'different');
      return checksums?.sums;
    } catch (error) {
      this.#found(file, problemOf(error));
      return undefined;
    }
  }

  #file(path: string, sum: string): void {
    try {
      if (this.#disk.kindOf(path) === undefined) {
        this.#found(path, 'missing');
        return;
      }
      const hash = createHash('sha256');
      const name = this.#nameOf(path);
      const bytes = withFile(this.#disk, path, name, (fd, size) => {
        for (let left = size; left > 0;) {
          const length = Math.min(left, BUFFER);
          readFully(this.#disk, fd, this.#buffer, 0, length, name);
          hash.update(this.#buffer.subarray(0, length));
          left -= length;
        }
        return size;
      });
      if (hash.digest('hex') !== sum) this.#found(path, 'different');
      this.#watcher.file(bytes);
    } catch (error) {
      this.#found(path, problemOf(error));
    }
  }

  #list(path: string): string[] {
    try {
      return this.#disk.list(path);
    } catch (error) {
      this.#found(path, problemOf(error));
      return [];
    }
  }

  #found(path: string, problem: Problem): void {
    this.#watcher.damage({ place: this.#nameOf(path), problem });
  }

  #nameOf(path: string): string {
    return path.slice(this.#archive.length + 1);
  }
}
