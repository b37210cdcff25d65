/**
 * Chooses unmarked chunks that an incremental send reads again: a few at random each time, and a rolling pass that in
 * time covers the whole volume. They reveal a delta that left out a change.
 */
import { randomInt } from 'node:crypto';
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import * as z from '../../shared/zod.ts';
import type { DeltaMap } from './delta-map.ts';

/** Ranges (so pages to fetch) that the random sample may touch. */
const SAMPLE_RANGES = 4;
const SAMPLE_MIN = 16;
const SAMPLE_MAX = 64;
/** How many ranges are tried to get a sample that is large enough. */
const SAMPLE_DRAWS = 32;
const DAY = 24 * 60 * 60 * 1000;

const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));

export const rollingState = z.strictObject({
  /** The chunk to continue from. */
  cursor: uint,
  /** Days since 1970. */
  day: uint,
  /** Bytes re-read on that day. */
  bytes: uint,
});

export type RollingState = z.infer<typeof rollingState>;

/** Chunks of one range to read again, rising. */
export interface RangeSample {
  readonly range: number;
  readonly chunks: readonly number[];
}

export interface Sample {
  /** Rising. */
  readonly ranges: readonly RangeSample[];
  /** To be stored after the chunks were read and were equal. */
  readonly rolling: RollingState;
}

export interface SampleRequest {
  readonly geometry: Geometry;
  /** The chunks that are read anyway. */
  readonly map: DeltaMap;
  readonly rolling: RollingState | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Bytes of the rolling re-read per day. */
  readonly budget: number;
  /** A whole number in [0, below). */
  readonly random?: (below: number) => number;
}

export function chooseSample({ geometry, map, rolling, now, budget, random = randomInt }: SampleRequest): Sample {
  const day = Math.max(0, Math.floor(now / DAY));
  const before = rolling?.day === day ? rolling : { cursor: rolling?.cursor ?? 0, day, bytes: 0 };
  const again = rollOn(geometry, map, before, budget - before.bytes);
  const chunks = new Set([...randomChunks(geometry, map, random), ...again.chunks]);
  const ranges = new Map<number, number[]>();
  for (const chunk of [...chunks].sort((a, b) => a - b)) {
    const range = geometry.rangeOf(chunk);
    const list = ranges.get(range);
    if (list === undefined) ranges.set(range, [chunk]);
    else list.push(chunk);
  }
  return { ranges: [...ranges].map(([range, list]) => ({ range, chunks: list })), rolling: again.state };
}

/** Continues from the cursor, past the end, at most once around. */
function rollOn(geometry: Geometry, map: DeltaMap, state: RollingState, budget: number) {
  const end = geometry.chunkCount;
  const chunks: number[] = [];
  if (budget <= 0 || end === 0) return { chunks, state };
  const start = state.cursor < end ? state.cursor : 0;
  let spent = 0;
  let cursor = start;
  for (const [from, to] of [[start, end] as const, [0, start] as const]) {
    for (
      cursor = map.nextUnmarked(from, to);
      cursor < to && spent < budget;
      cursor = map.nextUnmarked(cursor + 1, to)
    ) {
      chunks.push(cursor);
      spent += geometry.chunkLength(cursor);
    }
    if (spent >= budget) break;
  }
  return { chunks, state: { cursor: cursor < end ? cursor : 0, day: state.day, bytes: state.bytes + spent } };
}

function randomChunks(geometry: Geometry, map: DeltaMap, random: (below: number) => number): number[] {
  const drawn = new Map<number, number[]>();
  for (let draw = 0; draw < SAMPLE_DRAWS && !isEnough(drawn); draw++) {
    const chunk = randomUnmarked(geometry, map, random);
    if (chunk === undefined) break;
    const range = geometry.rangeOf(chunk);
    if (!drawn.has(range)) drawn.set(range, unmarkedIn(geometry, map, range));
  }
  const richest = [...drawn.values()].sort((a, b) => b.length - a.length).slice(0, SAMPLE_RANGES);
  return richest.flatMap((chunks) => some(chunks, Math.floor(SAMPLE_MAX / richest.length), random));
}

function isEnough(drawn: ReadonlyMap<number, readonly number[]>): boolean {
  let total = 0;
  for (const chunks of drawn.values()) total += Math.min(chunks.length, SAMPLE_MAX / SAMPLE_RANGES);
  return drawn.size >= SAMPLE_RANGES && total >= SAMPLE_MIN;
}

/** The unmarked chunk after a random place. */
function randomUnmarked(geometry: Geometry, map: DeltaMap, random: (below: number) => number): number | undefined {
  const end = geometry.chunkCount;
  if (end === 0) return undefined;
  const place = random(end);
  const after = map.nextUnmarked(place, end);
  if (after < end) return after;
  const around = map.nextUnmarked(0, place);
  return around < place ? around : undefined;
}

function unmarkedIn(geometry: Geometry, map: DeltaMap, range: number): number[] {
  const first = range * CHUNKS_PER_RANGE;
  const end = first + geometry.entriesOf(range);
  const chunks: number[] = [];
  for (let chunk = map.nextUnmarked(first, end); chunk < end; chunk = map.nextUnmarked(chunk + 1, end))
    chunks.push(chunk);
  return chunks;
}

/** `count` of the chunks, or all, with equal probability. */
function some(chunks: readonly number[], count: number, random: (below: number) => number): number[] {
  let left = [...chunks];
  const chosen: number[] = [];
  while (chosen.length < count && left.length > 0) {
    const place = random(left.length);
    chosen.push(...left.slice(place, place + 1));
    left = left.toSpliced(place, 1);
  }
  return chosen;
}
