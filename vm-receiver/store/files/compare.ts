/**
 * Stored files read whole, a piece at a time: whether two have the same bytes, and what SHA-256 one has.
 */
import { createHash } from 'node:crypto';
import type { Disk } from './disk.ts';
import { problemOf } from './problem.ts';
import { readFully, withFile } from './small-file.ts';

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

/** In hexadecimal digits; undefined for a file that is not there or cannot be read. */
export function sumOfFile(disk: Disk, path: string): string | undefined {
  return readable(() => hashFile(disk, path).digest);
}

/** SHA-256 in hexadecimal digits. */
export function hashFile(disk: Disk, path: string): { readonly digest: string; readonly bytes: number } {
  return withFile(disk, path, path, (fd, bytes) => {
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

/** Undefined where the file is missing or unreadable. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    problemOf(error);
    return undefined;
  }
}
