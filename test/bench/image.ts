/** The volumes that are measured: made from a seed, so that two runs measure the same. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readdirSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type Random } from '../fixtures/random.ts';
import { throwIfInterrupted } from './interrupt.ts';

const MIB = 2 ** 20;

/**
 * An image of which two thirds are data (half of that the machine's own files, half random) and a third holes, in
 * pieces of 1 to 16 MiB.
 */
export async function makeImage(path: string, size: number, random: Random): Promise<void> {
  const files = new FileBytes(['/usr/bin', '/usr/lib/x86_64-linux-gnu', '/usr/include']);
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, size);
    for (let at = 0, piece = 0; at < size; piece++) {
      // A signal is only noticed in between.
      await turn();
      throwIfInterrupted();
      const length = Math.min(size - at, (1 + random.int(16)) * MIB);
      if (piece % 3 === 0) writeAll(fd, files.next(length), at);
      if (piece % 3 === 1) writeAll(fd, random.bytes(length), at);
      at += length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Overwrites so many spots of 128 KiB with random bytes. */
export function changeSpots(path: string, size: number, spots: number, random: Random): void {
  const fd = openSync(path, 'r+');
  try {
    for (let i = 0; i < spots; i++) writeAll(fd, random.bytes(128 * 1024), random.int(size - 128 * 1024));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** The bytes of real files, one after another; begins again when there are no more. */
class FileBytes {
  readonly #paths: string[];
  #next = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(folders: readonly string[]) {
    this.#paths = folders.flatMap((folder) => filesBelow(folder)).sort();
  }

  next(length: number): Uint8Array {
    const pieces: Buffer[] = [];
    let have = 0;
    while (have < length) {
      if (this.#rest.length === 0) this.#rest = this.#read();
      const piece = this.#rest.subarray(0, length - have);
      this.#rest = this.#rest.subarray(piece.length);
      pieces.push(piece);
      have += piece.length;
    }
    return Buffer.concat(pieces);
  }

  #read(): Buffer {
    for (;;) {
      const path = this.#paths[this.#next++ % this.#paths.length];
      if (path === undefined) throw new Error('this machine has no files to make an image from');
      try {
        const bytes = readFileSync(path);
        if (bytes.length > 0) return bytes;
      } catch {
        // Some files are not for everybody.
      }
    }
  }
}

function filesBelow(folder: string): string[] {
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
}
