/**
 * Addresses in a volume: chunks, ranges of chunks, and the limits of sizes. A chunk's address is its byte offset; all
 * arithmetic is exact up to 2^53-1 bytes.
 */
import { SparsebakError } from '../errors.ts';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** A byte offset into a volume. */
export type ByteOffset = Branded<number, 'ByteOffset'>;
/** The number of a chunk: its address divided by the chunk size. */
export type ChunkIndex = Branded<number, 'ChunkIndex'>;
/** The number of a range: a chunk's number divided by 1024. */
export type RangeIndex = Branded<number, 'RangeIndex'>;

/** Chunks in a range, so identities in a full page. */
export const CHUNKS_PER_RANGE = 1024;
export const MIN_CHUNK_SIZE = 64 * 1024;
export const MAX_CHUNK_SIZE = 4 * 1024 * 1024;
export const DEFAULT_CHUNK_SIZE = 256 * 1024;
/** The largest volume, in bytes (16 TiB). */
export const MAX_VOLUME_SIZE = 16 * 2 ** 40;

export function isChunkSize(value: number): boolean {
  return value >= MIN_CHUNK_SIZE && value <= MAX_CHUNK_SIZE && Number.isInteger(Math.log2(value));
}

/** How a volume of `size` bytes is cut with one chunk size. */
export class Geometry {
  readonly chunkSize: number;
  /** In bytes; need not be a multiple of the chunk size. */
  readonly size: number;

  constructor(chunkSize: number, size: number) {
    if (!isChunkSize(chunkSize)) throw new SparsebakError('failed', `${chunkSize} is not a chunk size`);
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_VOLUME_SIZE) {
      throw new SparsebakError('source', `a volume of ${size} bytes is outside the limits (0 to 16 TiB)`);
    }
    this.chunkSize = chunkSize;
    this.size = size;
  }

  get chunkCount(): number {
    return Math.ceil(this.size / this.chunkSize);
  }

  get rangeCount(): number {
    return Math.ceil(this.chunkCount / CHUNKS_PER_RANGE);
  }

  /** Bytes of a full range's chunks. */
  get rangeBytes(): number {
    return this.chunkSize * CHUNKS_PER_RANGE;
  }

  address(chunk: number): ByteOffset {
    return (chunk * this.chunkSize) as ByteOffset;
  }

  chunkAt(offset: number): ChunkIndex {
    return Math.floor(offset / this.chunkSize) as ChunkIndex;
  }

  rangeOf(chunk: number): RangeIndex {
    return Math.floor(chunk / CHUNKS_PER_RANGE) as RangeIndex;
  }

  /** Bytes of one chunk: the last one is not padded. 0 past the end. */
  chunkLength(chunk: number): number {
    return Math.max(0, Math.min(this.chunkSize, this.size - chunk * this.chunkSize));
  }

  /** Chunks in a range below the size: the entries of its page. */
  entriesOf(range: number): number {
    return Math.max(0, Math.min(CHUNKS_PER_RANGE, this.chunkCount - range * CHUNKS_PER_RANGE));
  }
}

/** A chunk file's name: its address in 16 hexadecimal digits. */
export function chunkFileName(address: number): string {
  return address.toString(16).padStart(16, '0');
}

/** A range folder's name: the first ten digits of its first address. */
export function rangeFolderName(range: number, chunkSize: number): string {
  return chunkFileName(range * CHUNKS_PER_RANGE * chunkSize).slice(0, 10);
}

export const CHUNK_FILE_NAME = /^[0-9a-f]{16}$/;
export const RANGE_FOLDER_NAME = /^[0-9a-f]{10}$/;
