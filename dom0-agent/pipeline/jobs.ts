/**
 * What the main thread and its workers say to one another. Bulk data never goes through messages: it lies in the
 * job's buffer, a SharedArrayBuffer that both sides map, written by one side at a time.
 */
import { statSync } from 'node:fs';
import type { ChunkContent } from '../content/chunk.ts';

/**
 * Bytes of volume that one job takes at most (but at least one chunk): few messages, and buffers that stay in the
 * cache.
 */
const JOB_BYTES = 1024 * 1024;

export function chunksPerJob(chunkSize: number): number {
  return Math.max(1, Math.floor(JOB_BYTES / chunkSize));
}

/** Identities of 32 bytes each come first in a buffer, data behind them. */
export const IDENTITY = 32;

/** A file that jobs read or write. */
export interface JobFile {
  readonly path: string;
  /** As a person knows it. */
  readonly name: string;
  /** New for each opening: a path may lead to another file later. */
  readonly opening: number;
  /** The very file that is meant: nothing is read from another, nor written to it. */
  readonly device: bigint;
  readonly inode: bigint;
}

let openings = 0;

/** @param path what it leads to now is the file */
export function jobFile(path: string, name: string): JobFile {
  const { dev: device, ino: inode } = statSync(path, { bigint: true });
  return { path, name, opening: ++openings, device, inode };
}

/** Reads consecutive chunks, identifies them, and seals those that differ from what is known. */
export interface SealJob {
  readonly kind: 'seal';
  readonly file: JobFile;
  /** Bytes of the volume; the last chunk is cut there. */
  readonly size: number;
  readonly firstChunk: number;
  readonly count: number;
  /**
   * Identities (count × 32 bytes) that the base has at these chunks; a chunk that still has its own is not sent.
   * null: there are none, everything is sent, zeros too.
   */
  readonly known: Uint8Array | null;
}

export interface SealResult {
  readonly kind: 'sealed';
  /** Bytes of encoded frames (chunks and zero runs, in order of address) behind the identities in the buffer. */
  readonly frameBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  /** Bytes of volume read. */
  readonly readBytes: number;
  /** Bytes of chunks whose identity differs from what is known, whole chunks. */
  readonly changedBytes: number;
}

export interface OpenItem {
  readonly address: number;
  /** Bytes of plaintext that it must give. */
  readonly length: number;
  /** Where the stored bytes lie in the buffer's data. */
  readonly offset: number;
  readonly storedLength: number;
}

/** Authenticates, decompresses and identifies stored chunks (identities: in the buffer, in order), and writes them. */
export interface OpenJob {
  readonly kind: 'open';
  readonly items: readonly OpenItem[];
  /** File or device to write to at each address; null: prove only. */
  readonly target: JobFile | null;
}

export interface OpenResult {
  readonly kind: 'opened';
  readonly bytes: number;
  /** Chunks that failed: their numbers in `items`, and why. Those are not written. */
  readonly bad: readonly { readonly item: number; readonly message: string }[];
}

/** Lets go of the file that was read or written last: a device that is open can't be put away. */
export interface CloseJob {
  readonly kind: 'close';
}

interface CloseResult {
  readonly kind: 'closed';
}

export type Job = SealJob | OpenJob | CloseJob;
export type JobResult = SealResult | OpenResult | CloseResult;

export interface JobMessage {
  readonly buffer: number;
  readonly job: Job;
}

export type ResultMessage =
  | { readonly buffer: number; readonly ok: true; readonly result: JobResult }
  | {
      readonly buffer: number;
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
    };

export interface WorkerSetup {
  readonly role: 'sparsebak-pipeline';
  readonly content: ChunkContent;
  /** One per buffer: identities, then data. */
  readonly buffers: readonly SharedArrayBuffer[];
}
