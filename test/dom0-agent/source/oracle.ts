// What a delta must hold, found by looking at every byte.

import assert from 'node:assert/strict';
import { clip } from '../../../dom0-agent/source/byte-ranges.ts';
import type { ByteRange, Delta, Mapped } from '../../../dom0-agent/source/source.ts';

const STEP = 512;

/** Asserts that a delta has every difference as far as both reach. Ranges beyond that may be there or not. */
export function assertDelta(delta: Delta, newer: Buffer, older: Buffer, what: string): void {
  if (delta.kind !== 'ranges') return;
  assertWellFormed(delta.ranges, newer.length, what);
  const common = Math.min(newer.length, older.length);
  const ranges = clip(delta.ranges, common);
  assertCovers({ kind: 'ranges', ranges }, newer.subarray(0, common), older.subarray(0, common), what);
}

/**
 * Asserts that wherever the two differ (within both) lies in a range, that what the newer one has beyond the older
 * one's end does if it is anything but zeros, and that the ranges are well formed. Returns how many bytes lie in no
 * range.
 */
export function assertCovers(known: Delta | Mapped, newer: Buffer, older: Buffer, what: string): number {
  if (known.kind !== 'ranges') return 0;
  assertWellFormed(known.ranges, newer.length, what);
  const padded = Buffer.alloc(newer.length);
  older.copy(padded);
  let outside = 0;
  let at = 0;
  for (const { offset, length } of [...known.ranges, { offset: newer.length, length: 0 }]) {
    outside += assertSame(newer, padded, at, offset, what);
    at = offset + length;
  }
  return outside;
}

function assertSame(a: Buffer, b: Buffer, start: number, end: number, what: string): number {
  for (let at = start; at < end; at += STEP) {
    const to = Math.min(at + STEP, end);
    if (a.compare(b, at, to, at, to) !== 0)
      assert.fail(`${what}: bytes ${String(at)} to ${String(to)} differ and no range has them`);
  }
  return end - start;
}

export function assertWellFormed(ranges: readonly ByteRange[], size: number, what: string): void {
  let end = -1;
  for (const { offset, length } of ranges) {
    assert.ok(length > 0 && offset > end, `${what}: ranges ascend and don't touch`);
    end = offset + length;
  }
  assert.ok(end <= size, `${what}: no range ends past the size`);
}
