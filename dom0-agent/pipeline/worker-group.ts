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
import { PipelineWorker } from './worker.ts';

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

/**
 * From so many announced bytes, or so many jobs, on, threads do them. Fewer are done in the main thread: a thread costs
 * as much processor time as some tens of small jobs, and a send without changes has fifty to a hundred, of a chunk
 * each.
 */
const WORTH_THREADS = { bytes: 16 * 2 ** 20, jobs: 128 } as const;

/**
 * Announced bytes, or jobs, for each thread that is started beyond the first. A thread starts in about 30 ms, and a
 * MiB takes 1 to 3.
 */
const WORTH_ANOTHER = { bytes: 96 * 2 ** 20, jobs: 96 } as const;

/** Whoever does jobs, one after another: a thread, or the main thread between its other tasks. */
interface Running {
  readonly jobs: Waiting[];
  readonly post: (message: JobMessage) => void;
  /** Whether it keeps the process alive. */
  readonly keepAlive: (yes: boolean) => void;
  readonly end: () => Promise<unknown>;
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
  /** Does the first jobs; gets none once there are threads. */
  #mainThread: Running | undefined;
  /** Bytes that were announced. */
  #expected = 0;
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

  /**
   * There will be so much more to read, so that threads which are worth their start begin at once.
   * @param bytes of volumes; Infinity for an amount that is unknown and may be large
   */
  expect(bytes: number): void {
    this.#expected += bytes;
    if (this.#needsThreads && this.#workers.length === 0) this.#start()?.keepAlive(false);
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
    const closed = this.#all.map(
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
    await Promise.all(this.#all.map((running) => running.end()));
  }

  get #all(): readonly Running[] {
    return this.#mainThread === undefined ? this.#workers : [...this.#workers, this.#mainThread];
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
      const running = this.#next();
      if (running === undefined) return;
      this.#queue.shift();
      give(running, next);
    }
  }

  get #needsThreads(): boolean {
    return this.#expected >= WORTH_THREADS.bytes || this.#submitted > WORTH_THREADS.jobs;
  }

  /** Who does the next job, if anyone can take it now. */
  #next(): Running | undefined {
    if (this.#workers.length === 0 && !this.#needsThreads && !this.#closed) {
      const main = (this.#mainThread ??= this.#startInMainThread());
      return main.jobs.length < JOBS_IN_HAND ? main : undefined;
    }
    const idle = this.#workers.find((running) => running.jobs.length === 0) ?? this.#start();
    return idle ?? this.#workers.find((candidate) => candidate.jobs.length < JOBS_IN_HAND);
  }

  #startInMainThread(): Running {
    const worker = new PipelineWorker(this.#setup);
    const running: Running = {
      jobs: [],
      // Not at once: between two jobs the main thread serves the link and signals.
      post: ({ buffer, job }) => {
        setImmediate(() => {
          if (!this.#closed) this.#settle(running, worker.run(buffer, job));
        });
      },
      keepAlive: () => undefined,
      end: () => {
        worker.run(0, { kind: 'close' });
        return Promise.resolve();
      },
    };
    return running;
  }

  /** Threads are started when there is work for them. */
  #start(): Running | undefined {
    // A few jobs are done before a second thread would have started.
    const worth = 1 + Math.floor(Math.max(this.#submitted / WORTH_ANOTHER.jobs, this.#expected / WORTH_ANOTHER.bytes));
    if (this.#workers.length >= Math.min(this.#maxWorkers, worth) || this.#closed) return undefined;
    const worker = new Worker(workerFile(), { workerData: this.#setup });
    const running: Running = {
      jobs: [],
      post: (message) => {
        worker.postMessage(message);
      },
      keepAlive: (yes) => {
        if (yes) worker.ref();
        else worker.unref();
      },
      end: () => worker.terminate(),
    };
    worker.on('message', (message: ResultMessage) => {
      this.#settle(running, message);
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

  #settle(running: Running, message: ResultMessage): void {
    const job = running.jobs.shift();
    if (running.jobs.length === 0) running.keepAlive(false);
    if (message.ok) job?.resolve(message.result);
    else {
      const { code, message: text, hint } = message;
      job?.reject(new SparsebakError(errorCode(code), text, hint === undefined ? {} : { hint }));
    }
    this.#dispatch();
  }
}

function give(running: Running, next: Waiting): void {
  // Only a worker with work keeps the process alive.
  if (running.jobs.length === 0) running.keepAlive(true);
  running.jobs.push(next);
  running.post(next.message);
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
