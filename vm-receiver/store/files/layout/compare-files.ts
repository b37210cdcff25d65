/** Reads stored files completely, a piece at a time: compares two, or computes the SHA-256 of one. */
import { createHash } from 'node:crypto';
import type { Disk } from '../disk/disk.ts';
import { MAX_STORED_CHUNK } from './max-lengths.ts';
import { damageKindOf } from '../disk/read-error.ts';
import { readFully, withFile } from '../disk/small-file.ts';

const PIECE = 256 * 1024;
const one = Buffer.allocUnsafeSlow(PIECE);
const other = Buffer.allocUnsafeSlow(PIECE);

export function equalsBytes(disk: Disk, path: string, bytes: Uint8Array): boolean {
  return (
    readable(() =>
      withFile(disk, path, path, (fd, size) => {
        if (size !== bytes.length) return false;
        return everyPiece(size, (length, at) => {
          readFully(disk, fd, one, 0, length, path);
          return Buffer.compare(one.subarray(0, length), bytes.subarray(at, at + length)) === 0;
        });
      }),
    ) ?? false
  );
}

export function areEqual(disk: Disk, first: string, second: string): boolean {
  return (
    readable(() =>
      withFile(disk, first, first, (a, size) =>
        withFile(disk, second, second, (b, otherSize) => {
          if (size !== otherSize) return false;
          return everyPiece(size, (length) => {
            readFully(disk, a, one, 0, length, first);
            readFully(disk, b, other, 0, length, second);
            return Buffer.compare(one.subarray(0, length), other.subarray(0, length)) === 0;
          });
        }),
      ),
    ) ?? false
  );
}

/** The SHA-256 of a chunk, in hexadecimal digits; undefined if the file is missing, unreadable, or too long. */
export function sumOfFile(disk: Disk, path: string): string | undefined {
  return readable(() => hashFile(disk, path, MAX_STORED_CHUNK).digest);
}

/** SHA-256 in hexadecimal digits; none for a file of more than `max` bytes, which is not read. */
export function hashFile(
  disk: Disk,
  path: string,
  max: number,
): { readonly digest: string | undefined; readonly bytes: number } {
  return withFile(disk, path, path, (fd, bytes) => {
    if (bytes > max) return { digest: undefined, bytes: 0 };
    const hash = createHash('sha256');
    everyPiece(bytes, (length) => {
      readFully(disk, fd, one, 0, length, path);
      hash.update(one.subarray(0, length));
      return true;
    });
    return { digest: hash.digest('hex'), bytes };
  });
}

function everyPiece(size: number, isRight: (length: number, at: number) => boolean): boolean {
  for (let at = 0; at < size; at += PIECE) if (!isRight(Math.min(PIECE, size - at), at)) return false;
  return true;
}

/** Undefined if the file is missing or unreadable. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    damageKindOf(error);
    return undefined;
  }
}
