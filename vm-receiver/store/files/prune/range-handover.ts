/**
 * Moves the needed files of one range of a pruned session to the successor's range. Decided only by what is on the
 * disk, so that the result is the same however often it is restarted.
 */
import { join } from 'node:path';
import { CHUNK_FILE_NAME, CHUNKS_PER_RANGE } from '../../../../shared/archive/address.ts';
import { Refusal } from '../../refusal.ts';
import { EMPTY_SUM, checksumLine, findChecksums, type Checksums } from '../layout/checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { renameToOwn } from '../disk/own-file.ts';
import { CHECKSUMS, PAGE, firstAddressOf } from '../layout/paths.ts';
import { writeNew } from '../disk/small-file.ts';
import type { Unsynced } from '../disk/unsynced.ts';

/** The checksums of both, until they replace the successor's. */
const MERGED = `${CHECKSUMS}.merged`;

/** Two sessions, of which the second takes over from the first. */
export interface Successors {
  readonly disk: Disk;
  readonly chunkSize: number;
  /** Their folders. */
  readonly pruned: string;
  readonly successor: string;
  /** The successor's size in bytes: files at or past it are not needed. */
  readonly size: number;
  /** The pruned session is the oldest: its zeros hide nothing. */
  readonly isOldest: boolean;
}

/** The files of the pruned range by name, and their checksums. */
interface Found {
  readonly files: readonly string[];
  readonly sums: ReadonlyMap<string, string>;
}

export class RangeHandover {
  readonly #heirs: Successors;
  readonly #from: string;
  readonly #to: string;
  readonly #first: number;
  /** Whether the successor has this range. */
  readonly #shared: boolean;

  /** `folder`: the range's, in both sessions. */
  constructor(heirs: Successors, folder: string) {
    this.#heirs = heirs;
    this.#from = join(heirs.pruned, folder);
    this.#to = join(heirs.successor, folder);
    this.#first = firstAddressOf(folder);
    const kinds = [this.#from, this.#to].map((path) => heirs.disk.kindOf(path));
    if (kinds.some((kind) => kind !== undefined && kind !== 'folder')) {
      throw new Refusal('io', `range ${folder} of a session is not a folder`);
    }
    this.#shared = kinds[1] !== undefined;
  }

  /** Writes the checksums of both beside those that they will replace. */
  prepare(unsynced: Unsynced): void {
    const { disk } = this.#heirs;
    if (this.#shared) disk.remove(join(this.#to, MERGED));
    if (this.#isWhole()) return;
    const { files, sums } = this.#find();
    const own = this.#shared ? this.#checksums(this.#to) : EMPTY;
    const added = [...sums].filter(([name]) => this.#isNeeded(name, sums) && !own.sums.has(name));
    if (added.length === 0 && (this.#shared || !files.some((name) => this.#isNeeded(name, sums)))) return;
    if (!this.#shared) disk.makeFolder(this.#to);
    const lines = added.map(([name, sum]) => checksumLine(sum, name));
    const merged = join(this.#to, MERGED);
    writeNew(disk, merged, Buffer.from(endLine(own.text) + lines.join('')));
    for (const path of [merged, this.#to, this.#heirs.successor]) unsynced.add(path);
  }

  /** Moves the needed files, after their checksum lines. */
  move(unsynced: Unsynced): void {
    const { disk } = this.#heirs;
    if (this.#isWhole()) {
      disk.rename(this.#from, this.#to);
      return;
    }
    if (!this.#shared) return;
    // Even if nothing is left to move: a previous move may have been killed before it was durable.
    for (const path of [this.#from, this.#to]) unsynced.add(path);
    const merged = join(this.#to, MERGED);
    if (disk.kindOf(merged) !== undefined) renameToOwn(disk, merged, join(this.#to, CHECKSUMS));
    const { files, sums } = this.#find();
    const own = this.#checksums(this.#to).sums;
    const there = new Set(disk.list(this.#to));
    for (const name of files) {
      if (there.has(name) || !this.#isNeeded(name, sums)) continue;
      // Another line means that the successor had a file of its own, which is lost: an older one must not replace it.
      const line = own.get(name);
      if (line === undefined || line === sums.get(name)) disk.rename(join(this.#from, name), join(this.#to, name));
    }
  }

  /** Whether the folder can be moved as a whole: the successor has none, and all of it is needed. */
  #isWhole(): boolean {
    if (this.#shared) return false;
    const { size, chunkSize, isOldest } = this.#heirs;
    if (!isOldest && this.#first + chunkSize * CHUNKS_PER_RANGE <= size) return true;
    const { files, sums } = this.#find();
    return [...files, ...sums.keys()].every((name) => this.#isNeeded(name, sums));
  }

  #find(): Found {
    const files = this.#heirs.disk.list(this.#from).filter((name) => name === PAGE || CHUNK_FILE_NAME.test(name));
    return { files, sums: this.#checksums(this.#from).sums };
  }

  #isNeeded(name: string, sums: ReadonlyMap<string, string>): boolean {
    const { size, isOldest } = this.#heirs;
    if (name === PAGE) return this.#first < size;
    if (!CHUNK_FILE_NAME.test(name)) return false;
    return parseInt(name, 16) < size && !(isOldest && sums.get(name) === EMPTY_SUM);
  }

  #checksums(folder: string): Checksums {
    return findChecksums(this.#heirs.disk, folder) ?? EMPTY;
  }
}

const EMPTY: Checksums = { text: '', sums: new Map(), damaged: false };

function endLine(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
