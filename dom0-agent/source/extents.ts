/**
 * Lists of a file's extents, and where two files differ by their lists.
 *
 * Two files of one file system that refer to the same place on disk have the same bytes there, since both keep it
 * allocated and neither is written in place. So equal physical addresses prove equality; everything else counts as
 * changed.
 */
import { SparsebakError } from '../../shared/errors.ts';
import { RangeList } from './byte-ranges.ts';
import type { ByteRange } from './source.ts';

/** Takes extents in the order of their offsets, none overlapping. */
export interface ExtentSink {
  /** @param physical the address on disk in bytes, or DOUBTFUL: data at an unknown address */
  extent(offset: number, length: number, physical: number): void;
}

/**
 * In place of an address: this extent may differ from any other, even from a record that looks the same.
 *
 * Compressed extents of Btrfs are doubtful. Their address is that of the compressed bytes plus the offset in the
 * uncompressed ones, which is not reliable: a neighbour that is written later can have just that address, and the
 * kernel then even joins the two into one record. So two files with different content can have the same listing.
 */
export const DOUBTFUL = -1;

/** Limit for one file; more is not worth its memory: 24 bytes each, two lists, growing by doubling. */
export const MAX_EXTENTS = 512 * 1024;

/** How many more extents several lists together may have. */
export interface ExtentRoom {
  extents: number;
}

/** A list of extents in flat memory. */
export class ExtentList implements ExtentSink {
  readonly #room: ExtentRoom;
  #columns = new Float64Array(3 * 64);
  #count = 0;

  constructor(room: ExtentRoom = { extents: MAX_EXTENTS }) {
    this.#room = room;
  }

  get count(): number {
    return this.#count;
  }

  extent(offset: number, length: number, physical: number): void {
    if (this.#room.extents-- <= 0) throw new SparsebakError('source', `more than ${String(MAX_EXTENTS)} extents`);
    const at = this.#count * 3;
    if (at === this.#columns.length) {
      const larger = new Float64Array(at * 2);
      larger.set(this.#columns);
      this.#columns = larger;
    }
    this.#columns[at] = offset;
    this.#columns[at + 1] = offset + length;
    this.#columns[at + 2] = physical;
    this.#count += 1;
  }

  /** Where the extent begins; infinite past the last one, as a merge needs. */
  start(index: number): number {
    return index < this.#count ? (this.#columns[index * 3] ?? Infinity) : Infinity;
  }

  end(index: number): number {
    return index < this.#count ? (this.#columns[index * 3 + 1] ?? Infinity) : Infinity;
  }

  physical(index: number): number {
    return this.#columns[index * 3 + 2] ?? DOUBTFUL;
  }
}

/** Joins contiguous extents (a file system splits records where sharing begins or ends) and cuts off at the size. */
export class ExtentJoiner implements ExtentSink {
  readonly #target: ExtentSink;
  readonly #size: number;
  #offset = 0;
  #length = 0;
  #physical = DOUBTFUL;

  constructor(target: ExtentSink, size: number) {
    this.#target = target;
    this.#size = size;
  }

  extent(offset: number, length: number, physical: number): void {
    const within = Math.min(length, this.#size - offset);
    if (within <= 0) return;
    const follows = this.#length > 0 && offset === this.#offset + this.#length;
    const continues = physical === DOUBTFUL ? this.#physical === DOUBTFUL : this.#physical + this.#length === physical;
    const bothKnown = physical === DOUBTFUL || this.#physical !== DOUBTFUL;
    if (follows && continues && bothKnown) {
      this.#length += within;
      return;
    }
    this.end();
    this.#offset = offset;
    this.#length = within;
    this.#physical = physical;
  }

  /** Passes on the last extent. */
  end(): void {
    if (this.#length > 0) this.#target.extent(this.#offset, this.#length, this.#physical);
    this.#length = 0;
  }
}

/** Compares a second reading with the first without keeping it. */
export class Agreement implements ExtentSink {
  readonly #first: ExtentList;
  #next = 0;
  #agrees = true;

  constructor(first: ExtentList) {
    this.#first = first;
  }

  extent(offset: number, length: number, physical: number): void {
    const at = this.#next++;
    const same =
      at < this.#first.count &&
      this.#first.start(at) === offset &&
      this.#first.end(at) === offset + length &&
      this.#first.physical(at) === physical;
    if (!same) this.#agrees = false;
  }

  /** Whether both readings were the same; valid after the last extent. */
  get agrees(): boolean {
    return this.#agrees && this.#next === this.#first.count;
  }
}

/**
 * Where the two may differ: everywhere except where both have nothing, or the same place on disk. In one pass over
 * both.
 */
export function changedRanges(older: ExtentList, newer: ExtentList): ByteRange[] {
  const ranges = new RangeList();
  let i = 0;
  let j = 0;
  let at = 0;
  while (i < older.count || j < newer.count) {
    const inOlder = older.start(i) <= at;
    const inNewer = newer.start(j) <= at;
    const next = Math.min(inOlder ? older.end(i) : older.start(i), inNewer ? newer.end(j) : newer.start(j));
    if (inOlder !== inNewer || (inOlder && !samePlace(older, i, newer, j, at))) ranges.add(at, next);
    at = next;
    if (older.end(i) <= at) i += 1;
    if (newer.end(j) <= at) j += 1;
  }
  return ranges.finish();
}

function samePlace(older: ExtentList, i: number, newer: ExtentList, j: number, at: number): boolean {
  const a = older.physical(i);
  const b = newer.physical(j);
  return a !== DOUBTFUL && b !== DOUBTFUL && a + (at - older.start(i)) === b + (at - newer.start(j));
}

/** The ranges that may contain anything but zeros. */
export function mappedRanges(extents: ExtentList): ByteRange[] {
  const ranges = new RangeList();
  for (let i = 0; i < extents.count; i++) ranges.add(extents.start(i), extents.end(i));
  return ranges.finish();
}
