import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeDeltaMap, digest, encodeDeltaMap } from '../../../dom0-agent/capture/delta-map-file.ts';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';

const CHUNK = 64 * 1024;
const LIMIT = 200 * CHUNK;

/** What a map is by its definition: byte ranges and sizes, looked at one chunk at a time. */
class NaiveMap {
  readonly ranges: { offset: number; length: number }[] = [];
  readonly sizes: number[];

  constructor(size: number) {
    this.sizes = [size];
  }

  has(chunk: number): boolean {
    const smallest = Math.min(...this.sizes);
    const address = chunk * CHUNK;
    if (new Set(this.sizes).size === 1) {
      if (address >= smallest) return true;
    } else if (address + CHUNK >= smallest) return true;
    return this.ranges.some(
      ({ offset, length }) => length > 0 && offset < address + CHUNK && offset + length > address,
    );
  }
}

type Action =
  | { readonly kind: 'size'; readonly size: number }
  | { readonly kind: 'mark'; readonly offset: number; readonly length: number };

const size = fc.oneof(
  fc.integer({ min: 0, max: LIMIT }),
  fc.integer({ min: 0, max: 200 }).map((chunks) => chunks * CHUNK),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('size' as const), size }),
  fc.record({
    kind: fc.constant('mark' as const),
    offset: fc.integer({ min: 0, max: LIMIT + CHUNK }),
    length: fc.oneof(fc.integer({ min: 0, max: 3 * CHUNK }), fc.integer({ min: 0, max: LIMIT })),
  }),
);

function apply(first: number, actions: readonly Action[]): { map: DeltaMap; naive: NaiveMap } {
  const map = DeltaMap.empty(CHUNK, first);
  const naive = new NaiveMap(first);
  for (const each of actions) {
    if (each.kind === 'size') {
      map.noteSize(each.size);
      naive.sizes.push(each.size);
    } else {
      map.mark(each);
      // Past the largest size there is nothing to mark: should the volume grow, its place marks it.
      if (each.offset < Math.max(...naive.sizes)) naive.ranges.push(each);
    }
  }
  return { map, naive };
}

function agree(map: DeltaMap, naive: NaiveMap, volume: number): void {
  const expected: number[] = [];
  for (let chunk = 0; chunk * CHUNK < volume; chunk++) if (naive.has(chunk)) expected.push(chunk);
  assert.deepEqual([...map.chunks(volume)], expected);
  assert.equal(map.count(volume), expected.length);
  const marked = new Set(expected);
  for (let chunk = 0; chunk * CHUNK < volume; chunk++)
    assert.equal(map.has(chunk), marked.has(chunk), `chunk ${chunk}`);
}

describe('a delta map', () => {
  it('marks what a naive one marks, after any sizes and ranges', () => {
    fc.assert(
      fc.property(size, fc.array(action, { maxLength: 12 }), size, (first, actions, volume) => {
        const { map, naive } = apply(first, actions);
        agree(map, naive, volume);
        assert.equal(map.smallest, Math.min(...naive.sizes));
        assert.equal(map.largest, Math.max(...naive.sizes));
      }),
      { numRuns: 500 },
    );
  });

  it('finds runs and gaps from anywhere', () => {
    fc.assert(
      fc.property(size, fc.array(action, { maxLength: 6 }), fc.nat(220), fc.nat(220), (first, actions, from, to) => {
        const { map, naive } = apply(first, actions);
        const chunks = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
        if (from > to) return;
        assert.equal(map.nextMarked(from, to), chunks.find((chunk) => naive.has(chunk)) ?? to);
        assert.equal(map.nextUnmarked(from, to), chunks.find((chunk) => !naive.has(chunk)) ?? to);
        const inRuns = [...map.runs(from, to)].flatMap((run) =>
          Array.from({ length: run.count }, (_, i) => run.first + i),
        );
        assert.deepEqual(
          inRuns,
          chunks.filter((chunk) => naive.has(chunk)),
        );
      }),
    );
  });

  it('joined with another marks what either marks, for every size either saw', () => {
    const actions = fc.array(action, { maxLength: 6 });
    fc.assert(
      fc.property(size, actions, size, actions, size, (first, some, second, others, volume) => {
        const one = apply(first, some);
        const two = apply(second, others);
        one.map.union(two.map);
        for (const chunk of two.map.chunks(volume)) assert.ok(one.map.has(chunk), `chunk ${chunk}`);
        for (const chunk of apply(first, some).map.chunks(volume)) assert.ok(one.map.has(chunk), `chunk ${chunk}`);
      }),
    );
  });

  it('marks the old end and the new one when the size changed by a byte', () => {
    for (const [before, after] of [
      [10 * CHUNK, 10 * CHUNK + 1],
      [10 * CHUNK, 10 * CHUNK - 1],
      [10 * CHUNK + 1, 10 * CHUNK],
      [10 * CHUNK, 2 * CHUNK],
      [1, 0],
      [0, 1],
    ] as const) {
      const map = DeltaMap.empty(CHUNK, before);
      assert.equal(map.count(before), 0);
      map.noteSize(after);
      for (const end of [before, after])
        assert.ok(map.has(Math.max(0, Math.ceil(end / CHUNK) - 1)), `${before} to ${after}`);
    }
  });

  it('keeps what was marked beyond the end when the volume shrinks and grows', () => {
    const map = DeltaMap.empty(CHUNK, 10 * CHUNK);
    map.noteSize(4 * CHUNK);
    map.mark({ offset: 50 * CHUNK, length: CHUNK });
    map.noteSize(60 * CHUNK);
    assert.deepEqual([...map.runs(0, 60)], [{ first: 3, count: 57 }]);
  });

  it('refuses ranges that no source can mean', () => {
    const map = DeltaMap.empty(CHUNK, CHUNK);
    for (const [offset, length] of [
      [-1, 2],
      [0, -1],
      [Number.NaN, 1],
      [0.5, 1],
      [0, Infinity],
      [Number.MAX_SAFE_INTEGER, 1],
    ] as const) {
      assert.throws(() => map.mark({ offset, length }), { code: 'source' });
    }
  });

  it('holds 16 TiB in 64 KiB chunks', () => {
    const whole = 16 * 2 ** 40;
    const map = DeltaMap.empty(CHUNK, whole);
    map.mark({ offset: CHUNK, length: whole - 2 * CHUNK });
    assert.equal(map.count(whole), whole / CHUNK - 2);
    assert.deepEqual([...map.runs(0, whole / CHUNK)], [{ first: 1, count: whole / CHUNK - 2 }]);
    const file = encodeDeltaMap(map);
    assert.equal(file.length, 32 * 2 ** 20 + 64);
    const back = decodeDeltaMap(file);
    assert.ok(back instanceof DeltaMap);
    assert.equal(back.count(whole), whole / CHUNK - 2);
  });
});

describe("a delta map's file", () => {
  it('gives the map back', () => {
    fc.assert(
      fc.property(size, fc.array(action, { maxLength: 8 }), (first, actions) => {
        const { map, naive } = apply(first, actions);
        const back = decodeDeltaMap(encodeDeltaMap(map));
        assert.ok(back instanceof DeltaMap);
        assert.deepEqual([back.smallest, back.largest], [map.smallest, map.largest]);
        agree(back, naive, LIMIT);
      }),
    );
  });

  const { map } = apply(70 * CHUNK + 5, [{ kind: 'mark', offset: 0, length: 3 * CHUNK }]);
  const file = encodeDeltaMap(map);

  it('is refused with any byte changed, cut short or longer', () => {
    for (let at = 0; at < file.length; at++) {
      const changed = Buffer.from(file);
      changed.writeUInt8(changed.readUInt8(at) ^ 0x10, at);
      assert.ok('damaged' in decodeDeltaMap(changed), `byte ${at}`);
      assert.ok('damaged' in decodeDeltaMap(file.subarray(0, at)), `cut to ${at}`);
    }
    assert.ok('damaged' in decodeDeltaMap(Buffer.concat([file, randomBytes(1)])));
  });

  it('is refused where a right checksum covers nonsense', () => {
    const nonsense: [string, (body: Buffer) => Buffer][] = [
      ['version', (body) => (body.writeUInt32BE(2, 8), body)],
      ['chunk size', (body) => (body.writeUInt32BE(CHUNK + 1, 12), body)],
      ['smallest above largest', (body) => (body.writeBigUInt64BE(2n ** 40n, 16), body)],
      ['largest too large', (body) => (body.writeBigUInt64BE(2n ** 63n, 24), body)],
      ['a bit past the end', (body) => (body.writeUInt8(0x80, body.length - 1), body)],
      ['a word too many', (body) => Buffer.concat([body, Buffer.alloc(4)])],
      ['a word too few', (body) => body.subarray(0, -4)],
      ['half a word', (body) => Buffer.concat([body, Buffer.alloc(2)])],
    ];
    for (const [what, change] of nonsense) {
      const body = change(Buffer.from(file.subarray(0, -32)));
      assert.ok('damaged' in decodeDeltaMap(Buffer.concat([body, digest(body)])), what);
    }
  });
});
