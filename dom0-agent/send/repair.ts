/**
 * Repairs damage that the receiver knows of, before a volume is sent: chunks and pages of its newest session are made
 * again from the snapshot, if that still has the content that the session signs. Other content is lost for the sessions
 * that contain it. The range of a lost page is sent again completely, so that the new session is intact.
 */
import { randomInt } from 'node:crypto';
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import { isIntegrity } from '../../shared/errors.ts';
import { CHUNK_HEADER } from '../../shared/wire/chunk-frame.ts';
import type { ArchiveContent } from '../content/archive-content.ts';
import { PageIndex } from '../content/page-index.ts';
import type { ReceiverClient } from '../link/client.ts';
import { damagedParts, repairChunk, repairPage } from '../link/maintenance-requests.ts';
import { IDENTITY, jobFile, type JobFile } from '../pipeline/jobs.ts';
import type { WorkerGroup } from '../pipeline/worker-group.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';
import type { RepairBudget } from './repair-budget.ts';

export interface RepairRequest {
  /** The newest session, which is the damaged one, and its index. */
  readonly base: { readonly session: ProvenSession; readonly index: Uint8Array };
  /** The path where the snapshot is read, and its size in bytes. */
  readonly path: string;
  readonly size: number;
}

export interface RepairServices {
  readonly client: ReceiverClient;
  readonly content: ArchiveContent;
  readonly reader: ProvenReader;
  readonly workers: WorkerGroup;
  readonly signal: AbortSignal;
  readonly budget: RepairBudget;
}

export interface Repaired {
  /** Chunks and pages that were repaired. */
  readonly repaired: number;
  /** Chunks and pages whose content the snapshot no longer has. */
  readonly lost: number;
  /** Chunks and pages beyond the send's budget. */
  readonly left: number;
  /** Ranges whose page is lost. */
  readonly lostPages: ReadonlySet<number>;
}

/** @throws any failure of the connection */
export async function repair(request: RepairRequest, services: RepairServices): Promise<Repaired> {
  const { addresses, pages } = await damagedParts(services.client, request.base.session.volume);
  const repairing = new Repair(request, services);
  return await services.budget.during(async (isInTime) => {
    let left = 0;
    // Pages first, since chunks are compared with them.
    for (const range of fromAnywhere(pages)) if (!isInTime() || !(await repairing.page(range))) left++;
    for (const address of fromAnywhere(addresses)) if (!isInTime() || !(await repairing.chunk(address))) left++;
    return { ...repairing.result, left };
  });
}

/** Starts at a random place, so that objects that use up the budget do not keep later ones from ever being repaired. */
function fromAnywhere(rising: readonly number[]): readonly number[] {
  if (rising.length === 0) return rising;
  const first = randomInt(rising.length);
  return [...rising.slice(first), ...rising.slice(0, first)];
}

class Repair {
  readonly #services: RepairServices;
  readonly #session: ProvenSession;
  readonly #index: PageIndex;
  readonly #file: JobFile;
  readonly #size: number;
  readonly #lostPages = new Set<number>();
  #page: { readonly range: number; readonly entries: Uint8Array } | undefined;
  #repaired = 0;
  #lost = 0;

  constructor({ base, path, size }: RepairRequest, services: RepairServices) {
    this.#services = services;
    this.#session = base.session;
    this.#index = new PageIndex(base.index);
    this.#file = jobFile(path, base.session.head.name);
    this.#size = size;
  }

  get result(): Omit<Repaired, 'left'> {
    return { repaired: this.#repaired, lost: this.#lost, lostPages: this.#lostPages };
  }

  get #geometry(): Geometry {
    return this.#session.geometry;
  }

  /** @returns false beyond the budget */
  async page(range: number): Promise<boolean> {
    this.#services.signal.throwIfAborted();
    const expected = this.#index.hash(range);
    if (range >= this.#geometry.rangeCount || this.#index.isZero(range)) return true;
    if (!this.#services.budget.take(this.#geometry.entriesOf(range) * this.#geometry.chunkSize)) return false;
    const entries = await this.#identitiesOf(range);
    const { volume, head } = this.#session;
    const made = entries === undefined ? undefined : this.#services.content.sealPage(volume, range, entries);
    if (made?.stored === undefined || Buffer.compare(made.hash, expected) !== 0) {
      this.#lostPages.add(range);
      this.#lost++;
    } else if (await repairPage(this.#services.client, volume, head.session, range, made.stored)) this.#repaired++;
    return true;
  }

  /** @returns false beyond the budget */
  async chunk(address: number): Promise<boolean> {
    this.#services.signal.throwIfAborted();
    const chunk = address / this.#geometry.chunkSize;
    if (!Number.isInteger(chunk) || chunk >= this.#geometry.chunkCount) return true;
    if (!this.#services.budget.take(this.#geometry.chunkSize)) return false;
    const identity = await this.#identity(chunk);
    const made = this.#isThere(chunk, 1) ? await this.#seal(chunk) : undefined;
    if (identity === undefined || made === undefined || Buffer.compare(made.identity, identity) !== 0) {
      this.#lost++;
      return true;
    }
    const { volume, head } = this.#session;
    if (await repairChunk(this.#services.client, volume, head.session, address, made.stored)) this.#repaired++;
    return true;
  }

  /** The identity that the session signs for a chunk; undefined if its page is lost. */
  async #identity(chunk: number): Promise<Uint8Array | undefined> {
    const range = Math.floor(chunk / CHUNKS_PER_RANGE);
    if (this.#lostPages.has(range)) return undefined;
    if (this.#page?.range !== range) {
      const entries = await this.#pageOf(range);
      if (entries === undefined) return undefined;
      this.#page = { range, entries };
    }
    const at = (chunk % CHUNKS_PER_RANGE) * IDENTITY;
    return this.#page.entries.subarray(at, at + IDENTITY);
  }

  /** Undefined if it is lost as well, which the receiver did not know. */
  async #pageOf(range: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#services.reader.page(this.#session, range, this.#index.hash(range));
    } catch (error) {
      if (!isIntegrity(error)) throw error;
      this.#lostPages.add(range);
      this.#lost++;
      return undefined;
    }
  }

  /** The snapshot's identities of a range, for the session's size; undefined if the snapshot is shorter. */
  async #identitiesOf(range: number): Promise<Uint8Array | undefined> {
    const first = range * CHUNKS_PER_RANGE;
    const count = this.#geometry.entriesOf(range);
    if (!this.#isThere(first, count)) return undefined;
    const entries = new Uint8Array(count * IDENTITY);
    const step = this.#services.workers.chunksPerJob;
    for (let done = 0; done < count; done += step) {
      const part = Math.min(step, count - done);
      await this.#read(first + done, part, (identities) => {
        entries.set(identities, done * IDENTITY);
      });
    }
    return entries;
  }

  /** Whether the snapshot contains all bytes of these chunks that the session has. */
  #isThere(first: number, count: number): boolean {
    return this.#geometry.address(first + count - 1) + this.#geometry.chunkLength(first + count - 1) <= this.#size;
  }

  async #seal(chunk: number): Promise<{ identity: Uint8Array; stored: Uint8Array }> {
    return await this.#read(chunk, 1, (identities, frame, zeros) => ({
      identity: Uint8Array.from(identities),
      stored: zeros ? new Uint8Array(0) : Uint8Array.from(frame.subarray(CHUNK_HEADER)),
    }));
  }

  /** Reads and seals a few chunks; `use` gets the buffer's content, valid during the call only. */
  async #read<T>(
    firstChunk: number,
    count: number,
    use: (identities: Uint8Array, frames: Uint8Array, allZeros: boolean) => T,
  ): Promise<T> {
    const { workers: pool } = this.#services;
    const slot = await pool.acquire();
    try {
      // The session's size, not the snapshot's: the last chunk must end where it did.
      const { size } = this.#geometry;
      const job = { kind: 'seal', file: this.#file, size, firstChunk, count, known: null } as const;
      const { frameBytes, chunks } = await pool.seal(slot, job);
      return use(slot.identities.subarray(0, count * IDENTITY), slot.data.subarray(0, frameBytes), chunks === 0);
    } finally {
      pool.release(slot);
    }
  }
}
