/**
 * Plans a send: which chunks it reads, which are zeros because nothing is mapped there, and which ranges it touches at
 * all. The cost depends on changed and mapped data, never on the volume's size.
 */
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import type { ChunkRun } from '../capture/delta-map.ts';
import type { ByteRange, Mapped } from '../source/source.ts';

/** A part of the work on a range, in order of address. */
export type RangeStep =
  | ({ readonly kind: 'read' } & ChunkRun)
  /** Nothing is mapped there: zeros, without reading. */
  | ({ readonly kind: 'unmapped' } & ChunkRun);

export type PlanStep =
  | { readonly kind: 'range'; readonly range: number; readonly steps: readonly RangeStep[] }
  /** Whole ranges past the base's end in which nothing is mapped. */
  | { readonly kind: 'unmapped-ranges'; readonly first: number; readonly count: number };

/** Chunks that may have changed; a delta map is one. */
export interface MarkedChunks {
  /** Runs of marked chunks among `[from, end)`, rising. */
  runs(from: number, end: number): Iterable<ChunkRun>;
}

export interface PlanInput {
  readonly geometry: Geometry;
  /** The base's geometry; undefined for a first full send. */
  readonly base: Geometry | undefined;
  /** undefined: every chunk is read. */
  readonly marked: MarkedChunks | undefined;
  readonly mapped: Mapped;
  /** The first range to plan (those below were sent before an interruption). */
  readonly from: number;
  /** Ranges that are read completely, whatever is marked. */
  readonly lost: ReadonlySet<number>;
  /** Whether the base's page of a range is all zeros (then it is skipped if nothing is mapped). */
  readonly baseIsZero: (range: number) => boolean;
}

/** The work in rising order of range. */
export function* plan(input: PlanInput): Generator<PlanStep> {
  const { geometry, base } = input;
  const mapped = new MappedChunks(input.mapped, geometry);
  const ends = endRanges(geometry, base);
  const baseRanges = base?.rangeCount ?? 0;
  for (let range = input.from; range < geometry.rangeCount;) {
    const nextMapped = mapped.nextRange(range);
    if (base !== undefined && range >= baseRanges && nextMapped > range) {
      // Growth is always sent: an older session may have data there. (A delta map marks all of it.)
      const count = Math.min(nextMapped, geometry.rangeCount) - range;
      yield { kind: 'unmapped-ranges', first: range, count };
      range += count;
      continue;
    }
    if (base === undefined && nextMapped > range) {
      range = Math.min(nextMapped, geometry.rangeCount);
      continue;
    }
    if (input.marked === undefined && nextMapped > range && input.baseIsZero(range) && !ends.has(range)) {
      range++;
      continue;
    }
    const steps = rangeSteps(range, input, mapped);
    if (steps.length > 0 || ends.has(range)) yield { kind: 'range', range, steps };
    range++;
  }
}

/** If the size changed, the pages at the old and the new end change: their number of entries does. */
function endRanges(geometry: Geometry, base: Geometry | undefined): Set<number> {
  const ends = new Set<number>();
  if (base === undefined || base.size === geometry.size) return ends;
  for (const { chunkCount } of [geometry, base]) {
    if (chunkCount > 0) ends.add(geometry.rangeOf(chunkCount - 1));
  }
  return ends;
}

function rangeSteps(range: number, input: PlanInput, mapped: MappedChunks): RangeStep[] {
  const first = range * CHUNKS_PER_RANGE;
  const end = first + input.geometry.entriesOf(range);
  const marked = input.lost.has(range) ? undefined : input.marked;
  const runs = marked?.runs(first, end) ?? [{ first, count: end - first }];
  const steps: RangeStep[] = [];
  for (const run of runs) steps.push(...mapped.split(run));
  return steps;
}

/** Mapped byte ranges as chunks, walked once in rising order. */
class MappedChunks {
  readonly #ranges: readonly ByteRange[] | undefined;
  readonly #geometry: Geometry;
  #at = 0;

  constructor(mapped: Mapped, geometry: Geometry) {
    this.#ranges = mapped.kind === 'all' ? undefined : mapped.ranges;
    this.#geometry = geometry;
  }

  /** The first range at or after `range` in which anything is mapped; the number of ranges if there is none. */
  nextRange(range: number): number {
    if (this.#ranges === undefined) return range;
    const next = this.#seek(range * this.#geometry.rangeBytes);
    if (next === undefined) return this.#geometry.rangeCount;
    return Math.max(range, Math.floor(next.offset / this.#geometry.rangeBytes));
  }

  /** A run of chunks cut into mapped and unmapped parts. */
  split(run: ChunkRun): RangeStep[] {
    if (this.#ranges === undefined) return [{ kind: 'read', ...run }];
    const steps: RangeStep[] = [];
    const end = run.first + run.count;
    for (let at = run.first; at < end;) {
      const next = this.#seek(at * this.#geometry.chunkSize);
      const from = next === undefined ? end : Math.min(end, Math.max(at, this.#geometry.chunkAt(next.offset)));
      if (from > at) steps.push({ kind: 'unmapped', first: at, count: from - at });
      if (next === undefined || from >= end) break;
      const to = Math.min(end, Math.ceil((next.offset + next.length) / this.#geometry.chunkSize));
      push(steps, from, to);
      at = to;
    }
    return steps;
  }

  /** The first mapped byte range that ends after `offset`. Offsets must not decrease. */
  #seek(offset: number): ByteRange | undefined {
    const ranges = this.#ranges ?? [];
    for (let next = ranges[this.#at]; next !== undefined; next = ranges[++this.#at]) {
      if (next.offset + next.length > offset) return next;
    }
    return undefined;
  }
}

/** Adds a mapped part, joined to the previous one if they touch (two extents may share a chunk). */
function push(steps: RangeStep[], from: number, to: number): void {
  const last = steps.at(-1);
  if (last?.kind === 'read' && last.first + last.count === from) {
    steps[steps.length - 1] = { ...last, count: to - last.first };
  } else {
    steps.push({ kind: 'read', first: from, count: to - from });
  }
}
