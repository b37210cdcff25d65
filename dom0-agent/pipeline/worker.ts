/**
 * A pipeline worker: reads or writes the volume, and does all work on chunks. It has one buffer for plaintext and maps
 * the shared buffers; nothing else grows.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { CHUNK_HEADER, writeChunkHeader } from '../../shared/wire/chunk-frame.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { copyBytes, freeBytes } from '../content/bytes.ts';
import { ChunkOpener, ChunkSealer } from '../content/chunk.ts';
import { isZeroIdentity } from '../content/identity.ts';
import { failed } from '../source/target-error.ts';
import {
  IDENTITY,
  chunksPerJob,
  type JobFile,
  type JobMessage,
  type JobResult,
  type OpenJob,
  type OpenResult,
  type ResultMessage,
  type SealJob,
  type SealResult,
  type WorkerSetup,
} from './jobs.ts';

function isSetup(data: unknown): data is WorkerSetup {
  return typeof data === 'object' && data !== null && 'role' in data && data.role === 'sparsebak-pipeline';
}

/** The main program of a thread: serves jobs until the main thread ends it. */
export function runPipelineWorker(): void {
  const port = parentPort;
  if (port === null || !isSetup(workerData)) throw new SparsebakError('failed', 'not a pipeline worker');
  const worker = new PipelineWorker(workerData);
  port.on('message', ({ buffer, job }: JobMessage) => {
    port.postMessage(worker.run(buffer, job));
  });
}

function describe(error: unknown, job: JobMessage['job']): SparsebakError {
  if (job.kind === 'seal') return asSparsebakError(error, 'source', job.file.name);
  const target = job.kind === 'open' ? job.target : null;
  return target === null ? asSparsebakError(error, 'target') : failed(target.name, error);
}

/** Does jobs, one after another, for the thread that made it. */
export class PipelineWorker {
  readonly #chunkSize: number;
  readonly #buffers: readonly Uint8Array[];
  readonly #identityBytes: number;
  readonly #plain: Uint8Array;
  readonly #sealer: ChunkSealer;
  readonly #opener: ChunkOpener;
  #file: { readonly opening: number; readonly flags: 'r' | 'r+'; readonly fd: number } | undefined;

  constructor(setup: WorkerSetup) {
    const { content } = setup;
    this.#chunkSize = content.chunkSize;
    this.#buffers = setup.buffers.map((buffer) => new Uint8Array(buffer));
    const chunks = chunksPerJob(content.chunkSize);
    this.#identityBytes = chunks * IDENTITY;
    this.#plain = Buffer.allocUnsafeSlow(chunks * content.chunkSize);
    this.#sealer = new ChunkSealer(content);
    this.#opener = new ChunkOpener(content);
  }

  run(buffer: number, job: JobMessage['job']): ResultMessage {
    try {
      if (job.kind === 'close') return { buffer, ok: true, result: this.#close() };
      const memory = this.#buffers[buffer];
      if (memory === undefined) throw new SparsebakError('failed', `no buffer ${buffer}`);
      return { buffer, ok: true, result: job.kind === 'seal' ? this.#seal(memory, job) : this.#open(memory, job) };
    } catch (error) {
      const known = describe(error, job);
      const { code, message, hint } = known;
      return { buffer, ok: false, code, message, ...(hint === undefined ? {} : { hint }) };
    }
  }

  #seal(memory: Uint8Array, job: SealJob): SealResult {
    const start = job.firstChunk * this.#chunkSize;
    const length = Math.min(job.count * this.#chunkSize, job.size - start);
    this.#read(job.file, start, length);
    const totals = { chunks: 0, zeroChunks: 0, changedBytes: 0 };
    let at = this.#identityBytes;
    let zeroRun = 0;
    const endZeroRun = (nextChunk: number) => {
      if (zeroRun === 0) return;
      const frame = encodeFrame({ t: 'zeros', address: (nextChunk - zeroRun) * this.#chunkSize, count: zeroRun });
      copyBytes(frame, memory, at);
      at += frame.length;
      zeroRun = 0;
    };
    for (let i = 0; i < job.count; i++) {
      const plain = this.#plain.subarray(i * this.#chunkSize, Math.min((i + 1) * this.#chunkSize, length));
      const identity = this.#sealer.identity(plain);
      copyBytes(identity, memory, i * IDENTITY);
      const zero = isZeroIdentity(identity);
      const chunk = job.firstChunk + i;
      if (job.known !== null && Buffer.compare(identity, job.known.subarray(i * IDENTITY, (i + 1) * IDENTITY)) === 0) {
        endZeroRun(chunk);
        continue;
      }
      totals.changedBytes += plain.length;
      if (zero) {
        zeroRun++;
        totals.zeroChunks++;
        continue;
      }
      endZeroRun(chunk);
      const stored = this.#sealer.seal(plain, identity, memory, at + CHUNK_HEADER);
      writeChunkHeader(memory, at, chunk * this.#chunkSize, stored);
      at += CHUNK_HEADER + stored;
      totals.chunks++;
    }
    endZeroRun(job.firstChunk + job.count);
    return { kind: 'sealed', frameBytes: at - this.#identityBytes, readBytes: length, ...totals };
  }

  #open(memory: Uint8Array, job: OpenJob): OpenResult {
    const bad: { item: number; message: string }[] = [];
    let bytes = 0;
    job.items.forEach((item, i) => {
      const from = this.#identityBytes + item.offset;
      const stored = memory.subarray(from, from + item.storedLength);
      const identity = memory.subarray(i * IDENTITY, (i + 1) * IDENTITY);
      let plain: Uint8Array;
      try {
        plain = this.#opener.open(stored, identity, item.length);
      } catch (error) {
        bad.push({ item: i, message: error instanceof Error ? error.message : String(error) });
        return;
      }
      if (job.target !== null) this.#write(job.target, item.address, plain);
      bytes += plain.length;
      // For a plain archive's uncompressed chunk it is the buffer itself, which is shared memory and not freed.
      freeBytes(plain);
    });
    return { kind: 'opened', bytes, bad };
  }

  #read(file: JobFile, start: number, length: number): void {
    const fd = this.#fd(file, 'r');
    for (let done = 0; done < length;) {
      const got = readSync(fd, this.#plain, done, length - done, start + done);
      if (got === 0) throw new SparsebakError('source', `${file.name} ends at ${start + done} bytes, before its size`);
      done += got;
    }
  }

  #write(file: JobFile, start: number, bytes: Uint8Array): void {
    const fd = this.#fd(file, 'r+');
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, start + done);
  }

  #close(): JobResult {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file.fd);
    return { kind: 'closed' };
  }

  /** Only one file is open at a time: volumes are processed one after another. */
  #fd(file: JobFile, flags: 'r' | 'r+'): number {
    if (this.#file?.opening === file.opening && this.#file.flags === flags) return this.#file.fd;
    this.#close();
    const fd = openSync(file.path, flags);
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (dev !== file.device || ino !== file.inode) {
      closeSync(fd);
      throw new SparsebakError(flags === 'r' ? 'source' : 'target', `${file.name} was replaced while it was used`);
    }
    this.#file = { opening: file.opening, flags, fd };
    return fd;
  }
}
