/**
 * A session's content from the archive: every chunk that its pages name is fetched, proven by the workers and, if there
 * is a target, written to it. Used to restore and to verify.
 */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { Pace } from '../../shared/pace.ts';
import { copyBytes, isZeroBytes } from '../content/bytes.ts';
import type { ReceiverClient } from '../link/client.ts';
import { IDENTITY, type JobFile, type OpenItem } from '../pipeline/jobs.ts';
import type { WorkerGroup, JobBuffer } from '../pipeline/worker-group.ts';
import { PageIndex } from '../content/page-index.ts';
import { asLoss } from '../proven-archive/fetch-object.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';

export interface ReadServices {
  readonly client: ReceiverClient;
  readonly reader: ProvenReader;
  readonly workers: WorkerGroup;
  readonly signal: AbortSignal;
  /** Called with the number of bytes proven. */
  readonly onProgress: (bytes: number) => void;
  /** Called with the number of bytes that are not read: zeros, or not wanted. */
  readonly onSkipped?: (bytes: number) => void;
  /** Limits the bytes of volumes that are proven a second. */
  readonly pace?: Pace;
}

export interface ReadRequest {
  readonly session: ProvenSession;
  /** Where chunks are written; null: prove only. */
  readonly target: JobFile | null;
  /** Called for chunks of zeros, in rising runs of bytes (a device must have them written, a sparse file not). */
  readonly onZeros?: (offset: number, length: number) => void;
  /** Called with the bytes of chunks that were proven and written. */
  readonly onWritten?: (bytes: number) => void;
  /** The session's index, if it is already proven; absent: it is fetched. */
  readonly index?: Uint8Array;
  /** The ranges to read; absent: all. */
  readonly ranges?: ReadonlySet<number>;
  /** Whether a chunk is read; absent: all are. */
  readonly wanted?: (chunk: number) => boolean;
  /** Stops at the first bad chunk (for a restore, which has then failed). */
  readonly stopAtBad?: boolean;
}

export interface CorruptChunk {
  readonly address: number;
  readonly reason: string;
}

export interface ReadResult {
  readonly chunks: number;
  /** Bytes that were proven (without zeros). */
  readonly bytes: number;
  /** At most `MAX_BAD` of them; `badChunks` counts all. */
  readonly bad: readonly CorruptChunk[];
  readonly badChunks: number;
  /** The ranges of all bad chunks. */
  readonly badRanges: ReadonlySet<number>;
  /** Why the stored index was unusable, if the session was read without it. */
  readonly indexFault: SparsebakError | undefined;
}

/** How many bad chunks are named one by one. */
const MAX_BAD = 100;
/** How many pages are requested in advance. */
const PAGES_AHEAD = 4;

/** @throws `integrity` when a head, index or page is wrong; bad chunks are reported in the result */
export async function readContent(request: ReadRequest, services: ReadServices): Promise<ReadResult> {
  const reading = new ContentReading(request, services);
  await reading.run();
  return reading.result;
}

class ContentReading {
  readonly #request: ReadRequest;
  readonly #services: ReadServices;
  readonly #underWay = new Set<Promise<void>>();
  readonly #bad: CorruptChunk[] = [];
  readonly #badRanges = new Set<number>();
  #failure: SparsebakError | undefined;
  #indexFault: SparsebakError | undefined;
  #badChunks = 0;
  #chunks = 0;
  #bytes = 0;

  constructor(request: ReadRequest, services: ReadServices) {
    this.#request = request;
    this.#services = services;
  }

  get #gaveUp(): boolean {
    return this.#request.stopAtBad === true && this.#badChunks > 0;
  }

  get result(): ReadResult {
    return {
      ...{ chunks: this.#chunks, bytes: this.#bytes, bad: this.#bad, badChunks: this.#badChunks },
      ...{ badRanges: this.#badRanges, indexFault: this.#indexFault },
    };
  }

  async run(): Promise<void> {
    const { session, onZeros } = this.#request;
    const { geometry } = session;
    try {
      for await (const { range, page } of this.#pages()) {
        if (page === undefined) {
          const offset = range * geometry.rangeBytes;
          const length = Math.min(geometry.rangeBytes, geometry.size - offset);
          onZeros?.(offset, length);
          continue;
        }
        await this.#range(range, page);
        if (this.#gaveUp) break;
      }
    } finally {
      await Promise.all(this.#underWay);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Each range with its page, undefined if it is all zeros. */
  async *#pages(): AsyncGenerator<{ range: number; page: Uint8Array | undefined }> {
    const { session, ranges } = this.#request;
    const { reader } = this.#services;
    const index = new PageIndex(this.#request.index ?? (await this.#fetchIndex()));
    this.#skipZeroRanges(index);
    const ahead: Promise<{ range: number; page: Uint8Array | undefined }>[] = [];
    let next = 0;
    for (;;) {
      while (ahead.length < PAGES_AHEAD && next < session.geometry.rangeCount) {
        const range = next++;
        if (ranges?.has(range) === false) continue;
        const page = index.isZero(range) ? Promise.resolve(undefined) : reader.page(session, range, index.hash(range));
        const entry = page.then((bytes) => ({ range, page: bytes }));
        entry.catch(() => undefined);
        ahead.push(entry);
      }
      const first = ahead.shift();
      if (first === undefined) return;
      yield await first;
    }
  }

  async #fetchIndex(): Promise<Uint8Array> {
    const { hashes, fault } = await this.#services.reader.index(this.#request.session);
    this.#indexFault = fault;
    return hashes;
  }

  /** Done first, so that the amount to read is known early. */
  #skipZeroRanges(index: PageIndex): void {
    const { size, rangeBytes, rangeCount } = this.#request.session.geometry;
    let bytes = 0;
    for (let range = 0; range < rangeCount; range++) {
      if (index.isZero(range)) bytes += Math.min(rangeBytes, size - range * rangeBytes);
    }
    this.#services.onSkipped?.(bytes);
  }

  async #range(range: number, page: Uint8Array): Promise<void> {
    const { session, wanted, onZeros } = this.#request;
    const { geometry } = session;
    const { workers: pool } = this.#services;
    let batch: { chunk: number; identity: Uint8Array }[] = [];
    const first = range * CHUNKS_PER_RANGE;
    for (let chunk = first; chunk < first + geometry.entriesOf(range); chunk++) {
      const identity = page.subarray((chunk - first) * IDENTITY, (chunk - first + 1) * IDENTITY);
      if (isZeroBytes(identity)) {
        onZeros?.(geometry.address(chunk), geometry.chunkLength(chunk));
        this.#services.onSkipped?.(geometry.chunkLength(chunk));
        continue;
      }
      if (wanted !== undefined && !wanted(chunk)) {
        this.#services.onSkipped?.(geometry.chunkLength(chunk));
        continue;
      }
      batch.push({ chunk, identity });
      if (batch.length === pool.chunksPerJob) {
        await this.#start(batch);
        batch = [];
      }
    }
    if (batch.length > 0) await this.#start(batch);
  }

  /** Fetches and proves chunks in the background, as soon as there is a buffer for them. */
  async #start(batch: readonly { chunk: number; identity: Uint8Array }[]): Promise<void> {
    this.#services.signal.throwIfAborted();
    if (this.#gaveUp) return;
    const { pace, signal, workers } = this.#services;
    await pace?.spend(batch.length * this.#request.session.geometry.chunkSize, signal);
    const buffer = await workers.acquire();
    if (this.#failure !== undefined) {
      this.#services.workers.release(buffer);
      throw this.#failure;
    }
    const work: Promise<void> = this.#batch(batch, buffer)
      .catch((error: unknown) => {
        this.#failure ??= asSparsebakError(error);
      })
      .finally(() => {
        this.#services.workers.release(buffer);
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #batch(batch: readonly { chunk: number; identity: Uint8Array }[], buffer: JobBuffer): Promise<void> {
    const { geometry, volume, head } = this.#request.session;
    const items: OpenItem[] = [];
    let filled = 0;
    let answered = 0;
    const addresses = batch.map(({ chunk }) => geometry.address(chunk));
    const request = { t: 'get-chunks', volume, session: head.session, addresses } as const;
    const answer = this.#services.client.request(request, (item) => {
      if (item.t !== 'stored') return;
      const asked = batch[answered++];
      if (asked === undefined || item.address !== geometry.address(asked.chunk)) {
        throw new SparsebakError('protocol', 'the receiver sent a chunk that was not asked for');
      }
      if (item.data === null || item.data.length === 0) {
        this.#report(
          item.address,
          item.data === null ? 'missing from the archive' : 'zeros in the archive, but the session has data there',
        );
        return;
      }
      if (filled + item.data.length > buffer.data.length) {
        this.#report(item.address, 'longer than a chunk can be');
        return;
      }
      copyBytes(item.data, buffer.data, filled);
      copyBytes(asked.identity, buffer.identities, items.length * IDENTITY);
      items.push({
        address: item.address,
        length: geometry.chunkLength(asked.chunk),
        offset: filled,
        storedLength: item.data.length,
      });
      filled += item.data.length;
    });
    await answer.catch((error: unknown) => {
      throw asLoss(error);
    });
    if (answered !== batch.length)
      throw new SparsebakError('protocol', 'the receiver sent fewer chunks than were asked for');
    if (items.length === 0) return;
    const opened = await this.#services.workers.open(buffer, { kind: 'open', items, target: this.#request.target });
    for (const { item, message } of opened.bad) this.#report(items[item]?.address ?? -1, message);
    this.#chunks += items.length - opened.bad.length;
    this.#bytes += opened.bytes;
    this.#request.onWritten?.(opened.bytes);
    this.#services.onProgress(opened.bytes);
  }

  #report(address: number, reason: string): void {
    this.#badChunks++;
    if (address >= 0) this.#badRanges.add(Math.floor(address / this.#request.session.geometry.rangeBytes));
    if (this.#bad.length < MAX_BAD) this.#bad.push({ address, reason });
  }
}
