/**
 * A session being made in memory.
 */
import { CHUNKS_PER_RANGE, Geometry } from '../../../shared/archive/address.ts';
import type { PairingId, SessionName } from '../../../shared/archive/names.ts';
import { SendOrder } from '../order.ts';
import { Refusal } from '../refusal.ts';
import type { Send, SendRequest } from '../store.ts';

export interface MemorySession {
  readonly session: SessionName;
  readonly size: number;
  readonly head: Uint8Array;
  readonly index: readonly Uint8Array[];
  /** By address; empty for zeros. */
  readonly chunks: ReadonlyMap<number, Uint8Array>;
  /** By range. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly protected: boolean;
  /** Milliseconds since 1970. */
  readonly committed: number;
}

export interface MemoryVolume {
  name: string | undefined;
  /** Oldest first. */
  sessions: MemorySession[];
  readonly unfinished: Map<PairingId, Unfinished>;
}

interface Unfinished {
  readonly request: SendRequest;
  readonly chunks: Map<number, Uint8Array>;
  readonly pages: Map<number, Uint8Array>;
  checkpoint: number | undefined;
  /** Undefined when its sender is gone. */
  owner: MemorySend | undefined;
}

export class MemorySend implements Send {
  readonly #volume: MemoryVolume;
  readonly #mine: Unfinished;
  readonly #chunkSize: number;
  readonly #order: SendOrder;

  private constructor(volume: MemoryVolume, mine: Unfinished, chunkSize: number) {
    this.#volume = volume;
    this.#mine = mine;
    this.#chunkSize = chunkSize;
    this.#order = new SendOrder(new Geometry(chunkSize, mine.request.size), mine.checkpoint ?? 0);
    mine.owner = this;
  }

  static begin(volume: MemoryVolume, request: SendRequest, chunkSize: number): MemorySend {
    if (!request.resume) {
      const fresh: Unfinished = {
        request,
        chunks: new Map(),
        pages: new Map(),
        checkpoint: undefined,
        owner: undefined,
      };
      volume.unfinished.set(request.pairing, fresh);
      return new MemorySend(volume, fresh, chunkSize);
    }
    const mine = volume.unfinished.get(request.pairing);
    if (mine?.checkpoint === undefined) throw new Refusal('not-found', 'there is no such send to resume');
    const { base, session, size } = mine.request;
    if (base !== request.base || session !== request.session || size !== request.size) {
      throw new Refusal('bad-request', 'that is another send of the volume');
    }
    const range = mine.checkpoint / (chunkSize * CHUNKS_PER_RANGE);
    for (const address of [...mine.chunks.keys()]) if (address >= mine.checkpoint) mine.chunks.delete(address);
    for (const page of [...mine.pages.keys()]) if (page >= range) mine.pages.delete(page);
    return new MemorySend(volume, mine, chunkSize);
  }

  /** @throws Refusal `stale-base`, or `bad-request` for a name that is not above all that the volume had */
  static checkBase({ sessions }: MemoryVolume, { base, session }: SendRequest): void {
    const newest = sessions.at(-1)?.session ?? null;
    if (newest !== base) throw new Refusal('stale-base', `the newest session is ${newest ?? 'none'}`);
    if (newest !== null && session <= newest) throw new Refusal('bad-request', `${session} is not above ${newest}`);
  }

  chunk(address: number, data: Uint8Array): void {
    this.#order.chunk(address);
    this.#mine.chunks.set(address, Uint8Array.from(data));
  }

  async zeros(address: number, count: number): Promise<void> {
    this.#order.zeros(address, count);
    const end = address + count * this.#chunkSize;
    const held = this.#volume.sessions.flatMap(({ chunks }) => [...chunks.keys()]);
    for (const each of held) if (each >= address && each < end) this.#mine.chunks.set(each, new Uint8Array(0));
  }

  page(range: number, data: Uint8Array): void {
    this.#order.page(range);
    this.#mine.pages.set(range, Uint8Array.from(data));
  }

  async checkpoint(address: number): Promise<void> {
    this.#order.checkpoint(address);
    this.#mine.checkpoint = address;
  }

  async commit(head: Uint8Array, index: readonly Uint8Array[]): Promise<void> {
    const { request, chunks, pages } = this.#mine;
    if (this.#volume.unfinished.get(request.pairing) !== this.#mine) {
      throw new Refusal('conflict', 'this send was removed by another');
    }
    MemorySend.checkBase(this.#volume, request);
    this.#volume.unfinished.delete(request.pairing);
    const parts = index.map((part) => Uint8Array.from(part));
    const { session, size } = request;
    this.#volume.name = request.name ?? this.#volume.name;
    const content = { head: Uint8Array.from(head), index: parts, chunks, pages };
    this.#volume.sessions.push({ session, size, ...content, protected: false, committed: Date.now() });
    this.letGo();
  }

  async abandon(keep: boolean): Promise<void> {
    const { request, checkpoint } = this.#mine;
    const isThere = this.#volume.unfinished.get(request.pairing) === this.#mine;
    if (isThere && !(keep && checkpoint !== undefined)) this.#volume.unfinished.delete(request.pairing);
    this.letGo();
  }

  /** As when the sender is killed: nobody works on it, and it stays as it is. */
  letGo(): void {
    this.#mine.owner = undefined;
  }
}
