/**
 * The workers and their buffers. A buffer is taken before a job is made and given back when its bytes were passed on,
 * so memory is fixed and back-pressure reaches the reading side.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { EXIT_STATUS, SparsebakError, type ErrorCode } from '../../shared/errors.ts';
import { CHUNK_HEADER } from '../../shared/wire/chunk-frame.ts';
import { maxStoredLength, type ChunkContent } from '../content/chunk.ts';
import {
  IDENTITY,
  chunksPerJob,
  type JobMessage,
  type JobResult,
  type OpenJob,
  type OpenResult,
  type ResultMessage,
  type SealJob,
  type SealResult,
  type WorkerSetup,
} from './jobs.ts';

/** More threads do not help with one pipe, and each costs memory. */
const MAX_WORKERS = 4;
/** The longest frame of a zero run. */
const ZEROS_FRAME = 64;

/** Memory for one job: `identities` (32 bytes each) and `data`. */
export interface JobBuffer {
  readonly number: number;
  readonly identities: Uint8Array;
  readonly data: Uint8Array;
}

/** Jobs assigned to a worker: one in work, and one waiting so that it never idles while the main thread is busy. */
const JOBS_IN_HAND = 2;

/** Jobs for each thread that is started beyond the first. A thread starts in about 30 ms, a job takes 1 to 3. */
const JOBS_PER_START = 96;

interface Running {
  readonly worker: Worker;
  readonly jobs: Waiting[];
}

interface Waiting {
  readonly message: JobMessage;
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: SparsebakError) => void;
}

export class WorkerGroup {
  readonly chunksPerJob: number;
  readonly #setup: WorkerSetup;
  readonly #workers: Running[] = [];
  readonly #queue: Waiting[] = [];
  readonly #free: JobBuffer[];
  readonly #wantBuffer: ((buffer: JobBuffer) => void)[] = [];
  readonly #maxWorkers: number;
  #closed = false;
  #submitted = 0;

  constructor(content: ChunkContent, workers = availableParallelism()) {
    this.#maxWorkers = Math.max(1, Math.min(MAX_WORKERS, workers));
    this.chunksPerJob = chunksPerJob(content.chunkSize);
    const identityBytes = this.chunksPerJob * IDENTITY;
    const dataBytes = this.chunksPerJob * (CHUNK_HEADER + maxStoredLength(content.chunkSize) + ZEROS_FRAME);
    // Each worker has one in work and one waiting; two more are being passed on.
    const memories = Array.from(
      { length: 2 * this.#maxWorkers + 2 },
      () => new SharedArrayBuffer(identityBytes + dataBytes),
    );
    this.#free = memories.map((memory, number) => ({
      number,
      identities: new Uint8Array(memory, 0, identityBytes),
      data: new Uint8Array(memory, identityBytes),
    }));
    this.#setup = { role: 'sparsebak-pipeline', content, buffers: memories };
  }

  /**
   * A free buffer; waits for one. Buffers must be taken in the order in which they are given back, or no holder may
   * wait for another.
   */
  async acquire(): Promise<JobBuffer> {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return buffer;
    return new Promise((resolve) => this.#wantBuffer.push(resolve));
  }

  release(buffer: JobBuffer): void {
    const next = this.#wantBuffer.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }

  /** Starts a first thread in advance: for callers that wait for something else meanwhile. */
  warm(): void {
    if (this.#workers.length === 0) this.#start()?.worker.unref();
  }

  async seal(buffer: JobBuffer, job: SealJob): Promise<SealResult> {
    return (await this.#run({ buffer: buffer.number, job })) as SealResult;
  }

  async open(buffer: JobBuffer, job: OpenJob): Promise<OpenResult> {
    return (await this.#run({ buffer: buffer.number, job })) as OpenResult;
  }

  /** Closes the jobs' file, after the jobs submitted so far are done. */
  async closeFiles(): Promise<void> {
    const message: JobMessage = { buffer: 0, job: { kind: 'close' } };
    const closed = this.#workers.map(
      (running) =>
        new Promise<JobResult>((resolve, reject) => {
          give(running, { message, resolve, reject });
        }),
    );
    await Promise.all(closed);
  }

  /** Ends the workers. Running jobs are dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.map(({ worker }) => worker.terminate()));
  }

  #run(message: JobMessage): Promise<JobResult> {
    this.#submitted++;
    const result = new Promise<JobResult>((resolve, reject) => {
      this.#queue.push({ message, resolve, reject });
    });
    // Jobs are awaited in order; a later one may fail before its turn comes.
    result.catch(() => undefined);
    this.#dispatch();
    return result;
  }

  #dispatch(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const idle = this.#workers.find((running) => running.jobs.length === 0) ?? this.#start();
      const running = idle ?? this.#workers.find((candidate) => candidate.jobs.length < JOBS_IN_HAND);
      if (running === undefined) return;
      this.#queue.shift();
      give(running, next);
    }
  }

  /** Workers are started when there is work for them: a send without changes needs none. */
  #start(): Running | undefined {
    // A few jobs (the sample of a send without changes) are done before a second thread would have started.
    const worth = 1 + Math.floor(this.#submitted / JOBS_PER_START);
    if (this.#workers.length >= Math.min(this.#maxWorkers, worth) || this.#closed) return undefined;
    const worker = new Worker(workerFile(), { workerData: this.#setup });
    const running: Running = { worker, jobs: [] };
    worker.on('message', (message: ResultMessage) => {
      const job = running.jobs.shift();
      if (running.jobs.length === 0) worker.unref();
      if (message.ok) job?.resolve(message.result);
      else {
        const { code, message: text, hint } = message;
        job?.reject(new SparsebakError(errorCode(code), text, hint === undefined ? {} : { hint }));
      }
      this.#dispatch();
    });
    worker.on('error', (error: Error) => {
      this.#workers.splice(this.#workers.indexOf(running), 1);
      for (const job of running.jobs.splice(0)) {
        job.reject(new SparsebakError('failed', `a worker thread failed: ${error.message}`, { cause: error }));
      }
      // Waiting jobs go to another worker.
      this.#dispatch();
    });
    this.#workers.push(running);
    return running;
  }
}

function give(running: Running, next: Waiting): void {
  // Only a worker with work keeps the process alive.
  if (running.jobs.length === 0) running.worker.ref();
  running.jobs.push(next);
  running.worker.postMessage(next.message);
}

function errorCode(text: string): ErrorCode {
  return text in EXIT_STATUS ? (text as ErrorCode) : 'failed';
}

/**
 * In a bundle the worker is this very file, and main.ts distinguishes the two; in development it has a file of its own.
 */
function workerFile(): string {
  const here = fileURLToPath(import.meta.url);
  return here.endsWith('.ts') ? fileURLToPath(new URL('./worker-main.ts', import.meta.url)) : here;
}
