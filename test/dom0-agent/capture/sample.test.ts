import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';
import { chooseSample, type RollingState } from '../../../dom0-agent/capture/sample.ts';
import { CHUNKS_PER_RANGE, Geometry } from '../../../shared/archive/address.ts';

const CHUNK = 64 * 1024;
const DAY = 86_400_000;

function mapOf(geometry: Geometry, marked: readonly (readonly [number, number])[]): DeltaMap {
  const map = DeltaMap.empty(CHUNK, geometry.size);
  for (const [first, count] of marked) map.mark({ offset: first * CHUNK, length: count * CHUNK });
  return map;
}

describe('the sample', () => {
  const chunks = fc.integer({ min: 0, max: 12 * CHUNKS_PER_RANGE });
  const marks = fc.array(fc.tuple(chunks, fc.integer({ min: 0, max: 2 * CHUNKS_PER_RANGE })), { maxLength: 6 });

  it('is of 16 to 64 chunks believed unchanged, in at most 4 ranges', () => {
    let large = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 * CHUNKS_PER_RANGE * CHUNK }), marks, (size, marked) => {
        const geometry = new Geometry(CHUNK, size);
        const map = mapOf(geometry, marked);
        const { ranges } = chooseSample({ geometry, map, rolling: undefined, now: 0, budget: 0 });
        const chosen = ranges.flatMap((each) => each.chunks);
        assert.ok(ranges.length <= 4);
        assert.ok(chosen.length <= 64);
        assert.deepEqual(
          chosen,
          [...new Set(chosen)].sort((a, b) => a - b),
        );
        for (const { range, chunks: list } of ranges) {
          for (const chunk of list) {
            assert.equal(Math.floor(chunk / CHUNKS_PER_RANGE), range);
            assert.ok(chunk < geometry.chunkCount && !map.has(chunk));
          }
        }
        const unmarked = geometry.chunkCount - map.count(size);
        if (unmarked > 0) assert.ok(chosen.length > 0);
        if (unmarked >= 6 * CHUNKS_PER_RANGE) assert.ok(chosen.length >= 16, `${chosen.length} of ${unmarked}`);
        if (chosen.length >= 16) large += 1;
      }),
    );
    assert.ok(large > 20);
  });

  it('in time reaches every chunk', () => {
    const geometry = new Geometry(CHUNK, 300 * CHUNK);
    const map = mapOf(geometry, [[10, 5]]);
    const reached = new Set<number>();
    for (let send = 0; send < 200; send++) {
      const { ranges } = chooseSample({ geometry, map, rolling: undefined, now: 0, budget: 0 });
      for (const each of ranges) for (const chunk of each.chunks) reached.add(chunk);
    }
    assert.equal(reached.size, 295);
  });
});

describe('the rolling re-read', () => {
  /** Nothing random: the same first chunk each time. */
  const random = () => 0;

  it('covers the volume round the end, a budget a day, and leaves out what is read anyway', () => {
    const geometry = new Geometry(CHUNK, 5000 * CHUNK - 7);
    const map = mapOf(geometry, [
      [100, 50],
      [4990, 10],
    ]);
    const covered = new Map<number, number>();
    let rolling: RollingState | undefined;
    for (let day = 0; day < 10; day++) {
      for (const hour of [0, 1]) {
        const sample = chooseSample({ geometry, map, rolling, now: day * DAY + hour, budget: 1000 * CHUNK, random });
        const read = sample.ranges.flatMap((each) => each.chunks);
        if (hour === 0) for (const chunk of read) covered.set(chunk, (covered.get(chunk) ?? 0) + 1);
        else assert.ok(read.length <= 64, 'the budget of the day is used up');
        rolling = sample.rolling;
        assert.equal(rolling.day, day);
      }
    }
    for (let chunk = 0; chunk < 4990; chunk++) {
      assert.equal(covered.has(chunk), !map.has(chunk), `chunk ${chunk}`);
    }
  });

  it('stops after one round, however large the budget', () => {
    const geometry = new Geometry(CHUNK, 100 * CHUNK);
    const rolling = { cursor: 40, day: 0, bytes: 0 };
    const sample = chooseSample({ geometry, map: mapOf(geometry, []), rolling, now: 0, budget: 2 ** 50, random });
    assert.equal(sample.ranges[0]?.chunks.length, 100);
    assert.deepEqual(sample.rolling, { cursor: 40, day: 0, bytes: 100 * CHUNK });
  });

  it('goes on sensibly after the volume shrank, vanished, or the clock jumped', () => {
    for (const size of [0, 1, 10 * CHUNK]) {
      const geometry = new Geometry(CHUNK, size);
      const rolling = { cursor: 5000, day: 99, bytes: 2 ** 40 };
      const sample = chooseSample({ geometry, map: mapOf(geometry, []), rolling, now: 3 * DAY, budget: CHUNK });
      assert.equal(sample.rolling.day, 3);
      assert.ok(sample.rolling.bytes <= CHUNK);
    }
  });
});
