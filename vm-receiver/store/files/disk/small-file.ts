/** Reads plain files completely or in pieces, within their length limits. */
import { systemCode } from '../../../../shared/errors.ts';
import { Refusal, asRefusal } from '../../refusal.ts';
import type { Disk } from './disk.ts';

/** Bytes of one piece. */
const PIECE = 64 * 1024;

/** Opens a plain file for `use`, and always closes it. */
export function withFile<T>(disk: Disk, path: string, name: string, use: (fd: number, size: number) => T): T {
  const fd = disk.open(path, 'read');
  try {
    const entry = disk.entryOf(fd);
    if (entry.kind !== 'file') throw new Refusal('io', `${name} is not a plain file`);
    return use(fd, entry.size);
  } finally {
    disk.close(fd);
  }
}

/** Reads exactly `length` bytes into `target` from `offset` on. */
export function readFully(
  disk: Disk,
  fd: number,
  target: Uint8Array,
  offset: number,
  length: number,
  name: string,
): void {
  for (let done = 0; done < length;) {
    const count = disk.read(fd, target, offset + done, length - done);
    if (count === 0) throw new Refusal('io', `${name} ends before its length`);
    done += count;
  }
}

/** A complete file of at most `max` bytes; undefined if there is none. */
export function readSmall(disk: Disk, path: string, name: string, max: number): Uint8Array | undefined {
  try {
    return withFile(disk, path, name, (fd, size) => {
      if (size > max) throw tooLong(name, size, max);
      const bytes = Buffer.allocUnsafe(size);
      readFully(disk, fd, bytes, 0, size, name);
      return bytes;
    });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A file of at most `max` bytes in pieces; each piece is valid until the next one is requested. */
export function* pieces(disk: Disk, path: string, name: string, max: number): Generator<Uint8Array, void, undefined> {
  try {
    yield* read(disk, path, name, max);
  } catch (error) {
    throw asRefusal(error, `read ${name}`);
  }
}

/** The same pieces, of a file that is never empty. */
export function* nonEmpty(name: string, all: Iterable<Uint8Array>): Generator<Uint8Array, void, undefined> {
  let count = 0;
  for (const piece of all) {
    count += 1;
    yield piece;
  }
  if (count === 0) throw new Refusal('io', `${name} is empty`);
}

function* read(disk: Disk, path: string, name: string, max: number): Generator<Uint8Array, void, undefined> {
  const fd = disk.open(path, 'read');
  try {
    const entry = disk.entryOf(fd);
    if (entry.kind !== 'file') throw new Refusal('io', `${name} is not a plain file`);
    if (entry.size > max) throw tooLong(name, entry.size, max);
    const piece = Buffer.allocUnsafe(Math.min(PIECE, entry.size));
    for (let left = entry.size; left > 0;) {
      const length = Math.min(left, piece.length);
      readFully(disk, fd, piece, 0, length, name);
      yield piece.subarray(0, length);
      left -= length;
    }
  } finally {
    disk.close(fd);
  }
}

function tooLong(name: string, size: number, max: number): Refusal {
  return new Refusal('io', `${name} has ${size} bytes, more than the ${max} allowed`);
}

/** Writes all bytes, however few the system accepts at a time. */
export function writeFully(disk: Disk, fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += disk.write(fd, bytes, done);
}

/** Creates a new file. Not durable by itself. */
export function writeNew(disk: Disk, path: string, bytes: Uint8Array): void {
  const fd = disk.open(path, 'new');
  try {
    writeFully(disk, fd, bytes);
  } finally {
    disk.close(fd);
  }
}
