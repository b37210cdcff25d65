/**
 * Writes a send's chunks, zeros and pages into its range folders, and with them each folder's `sha256`. The only hot
 * path of the receiver: per chunk it opens, writes, closes and hashes, and allocates next to nothing.
 */
import { join } from 'node:path';
import { chunkFileName, rangeFolderName } from '../../../../shared/archive/address.ts';
import { Refusal, asRefusal } from '../../refusal.ts';
import { EMPTY_SUM, checksumLine, checksumOf } from '../layout/checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { CHECKSUMS, PAGE } from '../layout/paths.ts';
import type { ArchivePlace } from '../layout/volume-place.ts';
import type { DedupStore } from '../dedup/dedup-store.ts';
import { writeFully, writeNew } from '../disk/small-file.ts';
import type { SpaceWatch } from '../disk/free-space.ts';
import type { Unsynced } from '../disk/unsynced.ts';

const EMPTY = new Uint8Array(0);

export interface Counts {
  /** Chunks, including those of zeros. */
  files: number;
  zeros: number;
  /** Bytes of chunks and pages. */
  storedBytes: number;
}

/** A send's folder: its path, and its name in messages. */
export interface Folder {
  readonly path: string;
  readonly name: string;
}

export class RangeWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #name: string;
  readonly #chunkSize: number;
  readonly #space: SpaceWatch;
  readonly #dedupStore: DedupStore | undefined;
  readonly #unsynced: Unsynced;
  readonly counts: Counts;
  #range = -1;
  #folder = '';
  /** Lines of the range's checksum file that are not written yet. */
  #lines = '';

  constructor(
    { disk, chunkSize }: ArchivePlace,
    folder: Folder,
    space: SpaceWatch,
    dedupStore: DedupStore | undefined,
    unsynced: Unsynced,
    counts: Counts,
  ) {
    this.#disk = disk;
    this.#path = folder.path;
    this.#name = folder.name;
    this.#chunkSize = chunkSize;
    this.#space = space;
    this.#dedupStore = dedupStore;
    this.#unsynced = unsynced;
    this.counts = counts;
  }

  chunk(range: number, address: number, data: Uint8Array): void {
    const file = chunkFileName(address);
    const sum = checksumOf(data);
    if (!this.#take(range, file, sum, data)) this.#write(range, file, data);
    this.#lines += checksumLine(sum, file);
    this.counts.files += 1;
    this.counts.storedBytes += data.length;
  }

  zeros(range: number, address: number): void {
    const file = chunkFileName(address);
    this.#write(range, file, EMPTY);
    this.#lines += checksumLine(EMPTY_SUM, file);
    this.counts.files += 1;
    this.counts.zeros += 1;
  }

  page(range: number, data: Uint8Array): void {
    this.#write(range, PAGE, data);
    this.#lines += checksumLine(checksumOf(data), PAGE);
    this.counts.storedBytes += data.length;
  }

  /** Writes the pending lines of the current range. */
  finish(): void {
    if (this.#lines === '') return;
    const lines = Buffer.from(this.#lines);
    this.#lines = '';
    this.#step(CHECKSUMS, () => {
      const path = join(this.#folder, CHECKSUMS);
      this.#unsynced.add(path);
      const fd = this.#disk.open(path, 'append');
      try {
        writeFully(this.#disk, fd, lines);
      } finally {
        this.#disk.close(fd);
      }
    });
  }

  /** A chunk that the deduplication store has is linked instead of written. */
  #take(range: number, file: string, sum: string, data: Uint8Array): boolean {
    const dedupStore = this.#dedupStore;
    if (dedupStore === undefined) return false;
    if (range !== this.#range) this.#enter(range);
    return this.#step(file, () => dedupStore.take(sum, data, `${this.#folder}/${file}`));
  }

  #write(range: number, file: string, data: Uint8Array): void {
    if (range !== this.#range) this.#enter(range);
    this.#space.file(data.length);
    const path = `${this.#folder}/${file}`;
    this.#unsynced.add(path);
    this.#step(file, () => writeNew(this.#disk, path, data));
  }

  #enter(range: number): void {
    this.finish();
    this.#range = range;
    this.#folder = join(this.#path, rangeFolderName(range, this.#chunkSize));
    this.#unsynced.add(this.#folder);
    this.#step('', () => {
      const there = this.#disk.kindOf(this.#folder);
      if (there === undefined) this.#disk.makeFolder(this.#folder);
      else if (there !== 'folder') throw new Refusal('io', `a range of ${this.#name} is not a folder`);
    });
  }

  #step<T>(file: string, step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw asRefusal(error, `write ${this.#name}/${rangeFolderName(this.#range, this.#chunkSize)}/${file}`);
    }
  }
}
