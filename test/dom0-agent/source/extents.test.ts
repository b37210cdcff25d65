import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  Agreement,
  changedRanges,
  DOUBTFUL,
  ExtentJoiner,
  ExtentList,
  mappedRanges,
} from '../../../dom0-agent/source/extents.ts';
import type { ByteRange } from '../../../dom0-agent/source/source.ts';
import { Random } from '../../fixtures/random.ts';
import { assertWellFormed } from './oracle.ts';

type Extent = readonly [offset: number, length: number, physical: number];

function listOf(extents: readonly Extent[], size = Infinity): ExtentList {
  const list = new ExtentList();
  const joiner = new ExtentJoiner(list, size);
  for (const extent of extents) joiner.extent(...extent);
  joiner.end();
  return list;
}

function rows(list: ExtentList): Extent[] {
  return Array.from({ length: list.count }, (_, i) => [list.start(i), list.end(i) - list.start(i), list.physical(i)]);
}

const GIB = 1024 ** 3;
const TIB = 1024 ** 4;

describe('a list of extents', () => {
  it('joins what is contiguous in the file and on disk, and nothing else', () => {
    const split: Extent[] = [
      [0, 10, 100],
      [10, 10, 110],
      [20, 10, 200],
      [40, 10, 220],
      [50, 10, DOUBTFUL],
      [60, 10, DOUBTFUL],
      [70, 10, 9],
    ];
    const joined: Extent[] = [
      [0, 20, 100],
      [20, 10, 200],
      [40, 10, 220],
      [50, 20, DOUBTFUL],
      [70, 10, 9],
    ];
    assert.deepEqual(rows(listOf(split)), joined);
    assert.deepEqual(rows(listOf([[0, 1, DOUBTFUL], [1, 9, 0]])), [[0, 1, DOUBTFUL], [1, 9, 0]]); // prettier-ignore
  });

  it('ends where the file ends', () => {
    assert.deepEqual(rows(listOf([[0, 4096, 8192], [8192, 4096, 0]], 1000)), [[0, 1000, 8192]]); // prettier-ignore
  });

  it('notices any difference between two readings', () => {
    const first: Extent[] = [[0, 10, 100], [20, 10, 200], [40, 10, DOUBTFUL]]; // prettier-ignore
    const agrees = (second: readonly Extent[]): boolean => {
      const agreement = new Agreement(listOf(first));
      for (const extent of second) agreement.extent(...extent);
      return agreement.agrees;
    };
    assert.ok(agrees(first));
    assert.ok(!agrees(first.slice(1)) && !agrees(first.slice(0, 2)) && !agrees([]) && !agrees([...first, [60, 1, 1]]));
    for (const [row, extent] of first.entries()) {
      for (const column of [0, 1, 2]) {
        const other = extent.map((value, index) => (index === column ? value + 1 : value)) as unknown as Extent;
        assert.ok(!agrees(first.with(row, other)), `row ${String(row)}, column ${String(column)}`);
      }
    }
  });

  it('refuses more than its memory is for', () => {
    const list = new ExtentList();
    assert.throws(() => {
      for (let i = 0; i < 2 ** 21; i++) list.extent(i * 2, 1, 0);
    }, /more than 524288 extents/);
  });
});

describe('the comparison of two lists', () => {
  it('agrees with one that looks at every byte (L14)', () => {
    const random = new Random('compare');
    let changed = 0;
    for (let round = 0; round < 3000; round++) {
      const size = random.between(1, 64);
      const older = randomExtents(random, size);
      const newer = random.once(3) ? randomExtents(random, size) : mutated(random, older, size);
      const ranges = changedRanges(listOf(older), listOf(newer));
      assertWellFormed(ranges, size, `round ${String(round)}`);
      for (let at = 0; at < size; at++) {
        const [a, b] = [placeOf(older, at), placeOf(newer, at)];
        const same = (a === 'hole' && b === 'hole') || (a === b && typeof a === 'number');
        assert.equal(isIn(ranges, at), !same, `round ${String(round)}, byte ${String(at)}`);
        if (!same) changed += 1;
      }
    }
    assert.ok(changed > 1000);
  });

  it('is exact beyond 16 TiB, and with extents over 16 GiB (L15)', () => {
    const older = listOf([[0, 17 * GIB, 5 * TIB], [20 * TIB + 1, 40 * GIB, 900 * TIB]]); // prettier-ignore
    const newer = listOf([
      [0, 17 * GIB, 5 * TIB],
      [20 * TIB + 1, 40 * GIB - 1, 900 * TIB],
      [20 * TIB + 40 * GIB, 1, 0],
    ]);
    assert.deepEqual(changedRanges(older, newer), [{ offset: 20 * TIB + 40 * GIB, length: 1 }]);
    assert.deepEqual(changedRanges(older, listOf([])), mappedRanges(older));
    assert.deepEqual(changedRanges(listOf([]), older), mappedRanges(older));
  });

  it('never takes doubtful extents for equal, even the very same (L20)', () => {
    const list = listOf([[0, 10, DOUBTFUL]]);
    assert.deepEqual(changedRanges(list, list), [{ offset: 0, length: 10 }]);
  });

  it('takes time in proportion to the extents', () => {
    const timeOf = (count: number): number => {
      const [older, newer] = [new ExtentList(), new ExtentList()];
      for (let i = 0; i < count; i++) {
        older.extent(i * 10, 5, i * 100);
        newer.extent(i * 10 + (i % 2), 5, i * 100 + (i % 2));
      }
      const started = performance.now();
      assert.equal(changedRanges(older, newer).length, count);
      return performance.now() - started;
    };
    const ratio = timeOf(500_000) / timeOf(25_000);
    // 20 where each extent costs the same, 400 where each costs as much as there are.
    assert.ok(ratio < 150, `20 times as many extents take ${ratio.toFixed(0)} times as long`);
  });
});

function randomExtents(random: Random, size: number): Extent[] {
  const extents: Extent[] = [];
  for (let at = random.int(4); at < size;) {
    const length = Math.min(random.between(1, 9), size - at);
    extents.push([at, length, random.once(5) ? DOUBTFUL : random.once(2) ? 1000 + at : random.int(40)]);
    at += length + (random.once(2) ? 0 : random.int(5));
  }
  return extents;
}

function mutated(random: Random, extents: readonly Extent[], size: number): Extent[] {
  return extents.flatMap(([offset, length, physical]): Extent[] => {
    if (random.once(6)) return [];
    if (random.once(6)) return [[offset, length, physical === DOUBTFUL ? 7 : physical + 1]];
    if (!random.once(4) || length < 2 || physical === DOUBTFUL) return [[offset, Math.min(length, size), physical]];
    const half = random.between(1, length - 1);
    const second: Extent = [offset + half, length - half, physical + half];
    return random.once(2) ? [[offset, half, physical], second] : [second];
  });
}

function placeOf(extents: readonly Extent[], at: number): number | 'hole' | 'doubtful' {
  const extent = extents.find(([offset, length]) => at >= offset && at < offset + length);
  if (extent === undefined) return 'hole';
  return extent[2] === DOUBTFUL ? 'doubtful' : extent[2] + at - extent[0];
}

function isIn(ranges: readonly ByteRange[], at: number): boolean {
  return ranges.some(({ offset, length }) => at >= offset && at < offset + length);
}
