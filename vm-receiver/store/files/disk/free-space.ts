/**
 * Limits of free space that no send may fall below: a file system that is full to the last byte can be neither pruned
 * nor repaired. Checked when a send begins, and again after each amount written.
 */
import { Refusal } from '../../refusal.ts';
import type { Disk } from './disk.ts';

export interface Floors {
  readonly freeBytes: number;
  readonly freeInodes: number;
}

/** Bytes that may be written between two checks. */
const BYTES_BETWEEN = 32 * 2 ** 20;
const FILES_BETWEEN = 1024;

export class SpaceWatch {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #floors: Floors;
  #bytes = 0;
  #files = 0;

  constructor(disk: Disk, path: string, floors: Floors) {
    this.#disk = disk;
    this.#path = path;
    this.#floors = floors;
  }

  /** Counts one file about to be written. @throws Refusal `no-space` */
  file(bytes: number): void {
    this.#bytes += bytes;
    this.#files += 1;
    if (this.#bytes >= BYTES_BETWEEN || this.#files >= FILES_BETWEEN) this.look();
  }

  /** @throws Refusal `no-space` */
  look(): void {
    this.#bytes = 0;
    this.#files = 0;
    const { freeBytes, freeInodes } = this.#disk.space(this.#path);
    const hint = 'Free space on the backup disk, or prune old sessions.';
    if (freeBytes < this.#floors.freeBytes) {
      const text = `the backup disk has ${freeBytes} bytes free, and min_free_bytes is ${this.#floors.freeBytes}`;
      throw new Refusal('no-space', text, { hint });
    }
    if (freeInodes !== undefined && freeInodes < this.#floors.freeInodes) {
      const text = `the backup disk has ${freeInodes} inodes free, and min_free_inodes is ${this.#floors.freeInodes}`;
      throw new Refusal('no-space', text, { hint });
    }
  }
}
