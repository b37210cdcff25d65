/**
 * A session's file `size`: the volume's size then, decimal, one newline. The receiver made it, and the size is also in
 * the session's count: if one of them is lost the other replaces it, provided that the checksum of `size` agrees.
 */
import { join } from 'node:path';
import { checksumOf, findChecksums } from './checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { readOwn } from '../disk/own-file.ts';
import { SIZE } from './paths.ts';
import { readStats } from './session-stats.ts';

const DECIMAL = /^(0|[1-9][0-9]{0,15})\n$/;

export function describeSize(bytes: number): string {
  return `${bytes}\n`;
}

/**
 * Bytes; Infinity if not certainly known. Then everything counts as within the volume, which is never wrong: files past
 * an end are covered by every later session with a higher one.
 */
export function readSize(disk: Disk, session: string): number {
  const written = parseSize(readOwn(disk, join(session, SIZE), 64));
  const counted = readStats(disk, session)?.sizeBytes;
  const sum = findChecksums(disk, session)?.sums.get(SIZE);
  for (const bytes of [written, counted]) {
    if (bytes !== undefined && sum === checksumOf(Buffer.from(describeSize(bytes)))) return bytes;
  }
  return written !== undefined && written === counted ? written : Infinity;
}

function parseSize(bytes: Uint8Array | undefined): number | undefined {
  const text = bytes === undefined ? '' : Buffer.from(bytes).toString('latin1');
  const size = DECIMAL.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
