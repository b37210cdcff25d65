/**
 * The messages between the main thread and its workers. Bulk data is not in messages but in the job's buffer, a
 * SharedArrayBuffer that both sides map, written by one side at a time.
 */
import { statSync } from 'node:fs';
import { MAX_ADDRESSES } from '../../shared/wire/limits.ts';
import type { ChunkContent } from '../content/chunk.ts';

/**
 * Bytes of the volume in one job (but at least one chunk). Each job wakes two threads and the receiver: jobs of 1 MiB
 * take a tenth more processor time, and jobs of 8 MiB no less.
 */
export const JOB_BYTES = 4 * 1024 * 1024;

export function chunksPerJob(chunkSize: number): number {
  return Math.max(1, Math.min(MAX_ADDRESSES, Math.floor(JOB_BYTES / chunkSize)));
}

/** A buffer has identities of 32 bytes each first, then the data. */
export const IDENTITY = 32;

/** A file that jobs read or write. */
export interface JobFile {
  readonly path: string;
  /** As the user knows it. */
  readonly name: string;
  /** A new number for each opening: a path may later lead to another file. */
  readonly opening: number;
  /** Identifies the file: no other one is read or written. */
  readonly device: bigint;
  readonly inode: bigint;
}

let openings = 0;

/** @param path leads to the file now */
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
   * Identities (count × 32 bytes) of these chunks in the base; a chunk with the same identity is not sent. null: there
   * are none, and everything is sent, also zeros.
   */
  readonly known: Uint8Array | null;
}

export interface SealResult {
  readonly kind: 'sealed';
  /** Bytes of encoded frames (chunks and zero runs, in order of address) after the identities in the buffer. */
  readonly frameBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  /** Bytes of the volume that were read. */
  readonly readBytes: number;
  /** Bytes of chunks whose identity differs from the known one, in whole chunks. */
  readonly changedBytes: number;
}

export interface OpenItem {
  readonly address: number;
  /** Bytes of its plaintext. */
  readonly length: number;
  /** Offset of the stored bytes in the buffer's data. */
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
  /** Chunks that failed: their numbers in `items`, and why. They are not written. */
  readonly bad: readonly { readonly item: number; readonly message: string }[];
}

/** Closes the file that was read or written last: an open device cannot be deactivated. */
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
