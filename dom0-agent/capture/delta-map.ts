/**
 * The chunks of a volume that may have changed since a session: one bit per chunk, for the largest size seen. Marks are
 * only ever added. A mark too many costs a read; a mark too few loses data.
 *
 * If the volume has had more than one size, everything from the last byte of the smallest size on counts as marked,
 * whatever the bits say: chunks there were cut, dropped or brought back without appearing in a delta. Both the old and
 * the new end are there.
 */
import { Geometry } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { ByteRange } from '../source/source.ts';

/** Consecutive marked chunks: `[first, first + count)`. */
export interface ChunkRun {
  readonly first: number;
  readonly count: number;
}

const ALL = 0xffff_ffff;

export class DeltaMap {
  readonly chunkSize: number;
  #smallest: number;
  #largest: number;
  /** Chunk c is bit c % 32 of word c / 32. No bit past the last chunk of the largest size is ever set. */
  #words: Uint32Array;

  private constructor(chunkSize: number, smallest: number, largest: number, words: Uint32Array) {
    this.chunkSize = chunkSize;
    this.#smallest = smallest;
    this.#largest = largest;
    this.#words = words;
  }

  /** A map without changes since a session of this size. */
  static empty(chunkSize: number, size: number): DeltaMap {
    return new DeltaMap(chunkSize, size, size, new Uint32Array(wordsFor(chunkSize, size)));
  }

  /** The map with these bits; undefined if they are not valid. The caller must not change `words` afterwards. */
  static fromParts(chunkSize: number, smallest: number, largest: number, words: Uint32Array): DeltaMap | undefined {
    if (smallest > largest || words.length !== wordsFor(chunkSize, largest)) return undefined;
    const used = new Geometry(chunkSize, largest).chunkCount % 32;
    if (used !== 0 && (words.at(-1) ?? 0) >>> used !== 0) return undefined;
    return new DeltaMap(chunkSize, smallest, largest, words);
  }

  /** The smallest size seen since the session, in bytes. */
  get smallest(): number {
    return this.#smallest;
  }

  /** The largest size seen since the session, in bytes. */
  get largest(): number {
    return this.#largest;
  }

  get words(): Readonly<Uint32Array> {
    return this.#words;
  }

  /** The first of the chunks that are marked because of the sizes that the volume had. */
  get #tail(): number {
    if (this.#smallest === this.#largest) return Math.ceil(this.#largest / this.chunkSize);
    return Math.max(0, Math.ceil(this.#smallest / this.chunkSize) - 1);
  }

  /** Notes that the volume had this size since the session. */
  noteSize(size: number): void {
    const needed = wordsFor(this.chunkSize, size);
    this.#smallest = Math.min(this.#smallest, size);
    this.#largest = Math.max(this.#largest, size);
    if (needed > this.#words.length) this.#words = grown(this.#words, needed);
  }

  /**
   * Marks every chunk that the range touches. A range past the largest size is legal and needs no mark: that part
   * counts as marked anyway.
   */
  mark(range: ByteRange): void {
    const end = range.offset + range.length;
    if (!(Number.isSafeInteger(range.offset) && range.offset >= 0 && range.length >= 0 && Number.isSafeInteger(end))) {
      throw new SparsebakError('source', `a changed range of ${range.length} bytes at ${range.offset} is not valid`);
    }
    const stop = Math.min(end, this.#largest);
    if (range.length === 0 || range.offset >= stop) return;
    this.#set(Math.floor(range.offset / this.chunkSize), Math.ceil(stop / this.chunkSize));
  }

  #set(first: number, end: number): void {
    const words = this.#words;
    const firstWord = Math.floor(first / 32);
    const lastWord = Math.floor((end - 1) / 32);
    const head = (ALL << (first % 32)) >>> 0;
    const tail = ALL >>> (31 - ((end - 1) % 32));
    if (firstWord === lastWord) {
      words[firstWord] = at(words, firstWord) | (head & tail);
      return;
    }
    words[firstWord] = at(words, firstWord) | head;
    words.fill(ALL, firstWord + 1, lastWord);
    words[lastWord] = at(words, lastWord) | tail;
  }

  /** Adds everything that the other map marks. */
  union(other: DeltaMap): void {
    if (other.chunkSize !== this.chunkSize)
      throw new SparsebakError('failed', 'delta maps of two chunk sizes cannot be joined');
    this.noteSize(other.#smallest);
    this.noteSize(other.#largest);
    const words = this.#words;
    for (let index = 0; index < other.#words.length; index++) words[index] = at(words, index) | at(other.#words, index);
  }

  has(chunk: number): boolean {
    return chunk >= this.#tail || ((at(this.#words, Math.floor(chunk / 32)) >>> (chunk % 32)) & 1) === 1;
  }

  /** The first marked chunk in `[from, end)`; `end` if there is none. */
  nextMarked(from: number, end: number): number {
    return Math.min(this.#nextBit(from, Math.min(end, this.#tail), 0), end);
  }

  /** The first chunk in `[from, end)` that is not marked; `end` if there is none. */
  nextUnmarked(from: number, end: number): number {
    const limit = Math.min(end, this.#tail);
    const found = this.#nextBit(from, limit, ALL);
    return found < limit ? found : end;
  }

  /** The first set bit in `[from, end)`, at least `from`; of the inverted bits if `flip` is all ones. */
  #nextBit(from: number, end: number, flip: number): number {
    if (from >= end) return Math.max(from, end);
    const lastWord = Math.floor((end - 1) / 32);
    let index = Math.floor(from / 32);
    let word = (at(this.#words, index) ^ flip) & (ALL << (from % 32));
    while (word === 0 && index < lastWord) word = at(this.#words, ++index) ^ flip;
    return word === 0 ? end : Math.min(end, index * 32 + 31 - Math.clz32(word & -word));
  }

  /** Runs of marked chunks among `[from, end)`, rising. */
  *runs(from: number, end: number): Generator<ChunkRun, void, undefined> {
    for (let first = this.nextMarked(from, end); first < end;) {
      const stop = this.nextUnmarked(first, end);
      yield { first, count: stop - first };
      first = this.nextMarked(stop, end);
    }
  }

  /** Marked chunks of a volume of this size, rising. */
  *chunks(size: number): Generator<number, void, undefined> {
    for (const { first, count } of this.runs(0, Math.ceil(size / this.chunkSize))) {
      for (let chunk = first; chunk < first + count; chunk++) yield chunk;
    }
  }

  /** How many chunks of a volume of this size are marked. */
  count(size: number): number {
    const end = Math.ceil(size / this.chunkSize);
    const limit = Math.min(end, this.#tail);
    const whole = Math.floor(limit / 32);
    let total = end - limit;
    for (let index = 0; index < whole; index++) total += ones(at(this.#words, index));
    if (limit % 32 !== 0) total += ones(at(this.#words, whole) & (ALL >>> (32 - (limit % 32))));
    return total;
  }
}

function wordsFor(chunkSize: number, size: number): number {
  return Math.ceil(new Geometry(chunkSize, size).chunkCount / 32);
}

function grown(words: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length);
  larger.set(words);
  return larger;
}

/** A word; 0 past the end. */
function at(words: Readonly<Uint32Array>, index: number): number {
  return words[index] ?? 0;
}

/** Set bits of a word. */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
