// The plan against a naive model that looks at every chunk.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';
import { plan, type PlanStep } from '../../../dom0-agent/send/read-plan.ts';
import type { ByteRange, Mapped } from '../../../dom0-agent/source/source.ts';
import { CHUNKS_PER_RANGE, Geometry } from '../../../shared/archive/address.ts';
import { Random } from '../../fixtures/random.ts';

const CHUNK = 65_536;

interface Case {
  readonly geometry: Geometry;
  readonly base: Geometry | undefined;
  readonly marked: DeltaMap | undefined;
  readonly mapped: Mapped;
  readonly from: number;
  readonly lost: ReadonlySet<number>;
  readonly baseZeroRanges: ReadonlySet<number>;
}

function randomCase(random: Random): Case {
  const geometry = new Geometry(CHUNK, randomSize(random));
  const base = random.once(4) ? undefined : new Geometry(CHUNK, random.once(2) ? geometry.size : randomSize(random));
  const marked = base === undefined || random.once(3) ? undefined : randomMap(random, base.size, geometry.size);
  const mapped: Mapped = random.once(4)
    ? { kind: 'all' }
    : { kind: 'ranges', ranges: randomRanges(random, geometry.size) };
  const from = random.once(4) ? random.int(geometry.rangeCount + 1) : 0;
  const zero = new Set(Array.from({ length: base?.rangeCount ?? 0 }, (_, range) => range).filter(() => random.once(3)));
  const lost = new Set(Array.from({ length: base?.rangeCount ?? 0 }, (_, range) => range).filter(() => random.once(5)));
  return {
    geometry,
    base,
    marked,
    mapped,
    from,
    lost,
    baseZeroRanges: new Set([...zero].filter((range) => !lost.has(range))),
  };
}

function randomSize(random: Random): number {
  const ranges = random.int(6);
  const size = ranges * CHUNKS_PER_RANGE * CHUNK + (random.once(3) ? 0 : random.int(CHUNKS_PER_RANGE * CHUNK));
  return random.once(10) ? random.int(3) : size;
}

function randomMap(random: Random, before: number, now: number): DeltaMap {
  const map = DeltaMap.empty(CHUNK, before);
  map.noteSize(now);
  for (const range of randomRanges(random, Math.max(before, now))) map.mark(range);
  return map;
}

function randomRanges(random: Random, size: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  const step = random.pick([3 * CHUNK, 200 * CHUNK, 2000 * CHUNK]);
  for (let at = random.int(step); at < size; at += 1 + random.int(step)) {
    const length = Math.min(size - at, 1 + random.int(random.once(3) ? step : 4000));
    ranges.push({ offset: at, length });
    at += length;
  }
  return ranges;
}

/** What the plan does with each chunk. */
function outcome(steps: readonly PlanStep[], { geometry }: Case): Map<number, 'read' | 'unmapped'> {
  const chunks = new Map<number, 'read' | 'unmapped'>();
  let last = -1;
  const put = (first: number, count: number, kind: 'read' | 'unmapped') => {
    assert.ok(first > last && count > 0 && first + count <= geometry.chunkCount, `${kind} ${first}+${count} rises`);
    last = first + count - 1;
    for (let chunk = first; chunk <= last; chunk++) chunks.set(chunk, kind);
  };
  let lastRange = -1;
  for (const step of steps) {
    if (step.kind === 'unmapped-ranges') {
      assert.ok(step.first > lastRange && step.count > 0);
      lastRange = step.first + step.count - 1;
      const first = step.first * CHUNKS_PER_RANGE;
      put(first, Math.min(geometry.chunkCount, (lastRange + 1) * CHUNKS_PER_RANGE) - first, 'unmapped');
      continue;
    }
    assert.ok(step.range > lastRange);
    lastRange = step.range;
    for (const { kind, first, count } of step.steps) {
      assert.equal(geometry.rangeOf(first), step.range);
      assert.equal(geometry.rangeOf(first + count - 1), step.range);
      put(first, count, kind);
    }
  }
  return chunks;
}

function isMapped({ mapped }: Case, chunk: number): boolean {
  if (mapped.kind === 'all') return true;
  const start = chunk * CHUNK;
  return mapped.ranges.some(({ offset, length }) => offset < start + CHUNK && offset + length > start);
}

describe('the plan', () => {
  it('L2 L6 L14 covers every chunk that may have changed, and reads none that cannot have', () => {
    const random = new Random('plan');
    const seen = { cases: 0, read: 0, unmapped: 0, leftOut: 0 };
    for (; seen.cases < 400; seen.cases++) {
      const example = randomCase(random);
      const { geometry, base, marked, mapped, from, lost, baseZeroRanges } = example;
      const baseIsZero = (range: number): boolean => baseZeroRanges.has(range);
      const input = { geometry, base, marked, mapped, from, lost, baseIsZero };
      const steps = [...plan(input)];
      const done = outcome(steps, example);
      for (let chunk = from * CHUNKS_PER_RANGE; chunk < geometry.chunkCount; chunk++) {
        const kind = done.get(chunk);
        const isMarked = lost.has(geometry.rangeOf(chunk)) || (marked?.has(chunk) ?? true);
        const range = geometry.rangeOf(chunk);
        const pastBase = base !== undefined && chunk >= base.chunkCount;
        if (kind === 'read') {
          seen.read++;
          assert.ok(isMapped(example, chunk) && (isMarked || pastBase), `chunk ${chunk} is read for nothing`);
        } else if (kind === 'unmapped') {
          seen.unmapped++;
          assert.ok(!isMapped(example, chunk), `chunk ${chunk} is mapped and taken for zeros`);
        } else {
          seen.leftOut++;
          // Only what the base has already: unmarked, or zeros over zeros.
          const zerosOverZeros =
            !isMapped(example, chunk) && !pastBase && (base === undefined || baseZeroRanges.has(range));
          assert.ok(!isMarked || zerosOverZeros, `chunk ${chunk} of ${geometry.chunkCount} is left out`);
        }
      }
      for (const chunk of done.keys()) assert.ok(chunk >= from * CHUNKS_PER_RANGE, 'nothing below what was sent');
      assertEndsTouched(steps, example);
    }
    assert.ok(seen.read > 1000 && seen.unmapped > 1000 && seen.leftOut > 1000, JSON.stringify(seen));
  });

  it('costs nothing where nothing is marked, whatever the size', () => {
    const size = 16 * 2 ** 40;
    const geometry = new Geometry(4 * 2 ** 20, size);
    let asked = 0;
    const marked = {
      *runs(from: number, end: number) {
        asked++;
        if (from <= 5 && 5 < end) yield { first: 5, count: 1 };
      },
    };
    const steps = [
      ...plan({
        geometry,
        base: geometry,
        marked,
        mapped: { kind: 'all' },
        from: 0,
        lost: new Set<number>(),
        baseIsZero: () => false,
      }),
    ];
    assert.deepEqual(steps, [{ kind: 'range', range: 0, steps: [{ kind: 'read', first: 5, count: 1 }] }]);
    assert.ok(asked <= geometry.rangeCount);
  });

  it('reads only what is mapped in a first full, and names no range without', () => {
    const geometry = new Geometry(CHUNK, 2 ** 41 + 7);
    const at = 2 ** 40 + 3;
    const mapped: Mapped = { kind: 'ranges', ranges: [{ offset: at, length: 1 }] };
    const steps = [
      ...plan({
        geometry,
        base: undefined,
        marked: undefined,
        mapped,
        from: 0,
        lost: new Set<number>(),
        baseIsZero: () => false,
      }),
    ];
    const chunk = geometry.chunkAt(at);
    const [step] = steps;
    assert.equal(steps.length, 1);
    assert.ok(step?.kind === 'range' && step.range === geometry.rangeOf(chunk));
    assert.deepEqual(
      step.steps.filter(({ kind }) => kind === 'read'),
      [{ kind: 'read', first: chunk, count: 1 }],
    );
  });
});

/** The pages of the old and the new end have another number of entries after a change of size. */
function assertEndsTouched(steps: readonly PlanStep[], { geometry, base, from }: Case): void {
  if (base === undefined || base.size === geometry.size) return;
  for (const { chunkCount } of [geometry, base]) {
    if (chunkCount === 0) continue;
    const range = geometry.rangeOf(chunkCount - 1);
    if (range < from || range >= geometry.rangeCount) continue;
    const touched = steps.some((step) =>
      step.kind === 'range' ? step.range === range : step.first <= range && range < step.first + step.count,
    );
    assert.ok(touched, `the page of range ${range} is touched`);
  }
}
