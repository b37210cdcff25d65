/**
 * The store's contract in the plainest form: everything in maps, nothing clever. What other implementations are compared
 * with, and what a test of the service uses where no disk is wanted.
 */
import { createHash } from 'node:crypto';
import type { ArchiveId, ArchiveName, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { MAX_SLOTS } from '../../../shared/wire/limits.ts';
import { mustBeCatalogue, mustBeSlot } from '../form.ts';
import { Refusal } from '../refusal.ts';
import type {
  ArchiveStore,
  KeptVersion,
  NewArchive,
  ObjectHarm,
  Pieces,
  Hurt,
  Resolution,
  Rules,
  ScrubRequest,
  Scrubbed,
  Send,
  SendRequest,
  SessionSummary,
  Shared,
  SharedUsage,
  Slot,
  Space,
  Store,
  StoredHead,
  Usage,
  VolumeSummary,
} from '../store.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { mustBeDeletable, mustBePrunable } from '../rules.ts';
import { MemoryKept } from './memory-kept.ts';
import { pruneInMemory, storedBytes } from './memory-prune.ts';
import { MemorySend, type MemorySession, type MemoryVolume } from './memory-send.ts';

interface Content {
  readonly created: NewArchive;
  readonly slots: Map<string, Uint8Array>;
  readonly kept: MemoryKept;
  catalogue: Uint8Array;
  readonly volumes: Map<VolumeId, MemoryVolume>;
}

export class MemoryStore implements Store {
  readonly #archives = new Map<ArchiveName, Content>();
  readonly #rules: Rules;

  constructor(rules: Rules = { minKeep: 1, allowDelete: true }) {
    this.#rules = rules;
  }

  async create(archive: NewArchive): Promise<void> {
    for (const slot of archive.slots) mustBeSlot(archive, slot);
    mustBeCatalogue(archive, archive.catalogue);
    const there = this.#archives.get(archive.name);
    if (there !== undefined && !isSame(there, archive)) {
      throw new Refusal('exists', `there is an archive ${archive.name} already`);
    }
    if (there !== undefined) return;
    const slots = new Map(archive.slots.map(({ name, data }) => [name, Uint8Array.from(data)]));
    const catalogue = Uint8Array.from(archive.catalogue);
    const kept = new MemoryKept();
    kept.put(undefined, catalogue);
    for (const [name, data] of slots) kept.put(name, data);
    this.#archives.set(archive.name, { created: archive, slots, kept, catalogue, volumes: new Map() });
  }

  async open(name: ArchiveName): Promise<ArchiveStore> {
    const content = this.#archives.get(name);
    if (content === undefined) throw new Refusal('not-found', `there is no archive ${name}`);
    return new MemoryArchive(content, this.#rules);
  }

  archives(): ArchiveName[] {
    return [...this.#archives.keys()].sort();
  }
}

function isSame({ created, slots, catalogue }: Content, archive: NewArchive): boolean {
  return (
    created.id === archive.id &&
    created.chunkSize === archive.chunkSize &&
    created.encrypted === archive.encrypted &&
    created.dedup === archive.dedup &&
    Buffer.compare(catalogue, archive.catalogue) === 0 &&
    archive.slots.every(({ name, data }) => Buffer.compare(slots.get(name) ?? new Uint8Array(0), data) === 0)
  );
}

class MemoryArchive implements ArchiveStore {
  readonly id: ArchiveId;
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly rules: Rules;
  readonly #content: Content;
  readonly #sends = new Set<MemorySend>();

  constructor(content: Content, rules: Rules) {
    this.rules = rules;
    this.id = content.created.id;
    this.chunkSize = content.created.chunkSize;
    this.encrypted = content.created.encrypted;
    this.dedup = content.created.dedup;
    this.#content = content;
  }

  *slots(): Generator<Slot, void, undefined> {
    for (const name of [...this.#content.slots.keys()].sort()) {
      const data = this.#content.slots.get(name);
      if (data !== undefined) yield { name, data };
    }
  }

  async putSlot(slot: Slot): Promise<void> {
    const { name, data } = slot;
    mustBeSlot(this, slot);
    this.#content.slots.set(name, Uint8Array.from(data));
    this.#content.kept.put(name, Uint8Array.from(data));
  }

  async dropSlot(name: string): Promise<void> {
    this.#content.slots.delete(name);
    this.#content.kept.put(name, undefined);
  }

  kept(): readonly KeptVersion[] {
    return this.#content.kept.versions();
  }

  async putBack(number: number): Promise<KeptVersion> {
    const { version, data } = this.#content.kept.get(number);
    const { slot } = version;
    if (slot !== undefined) {
      if (!this.#content.slots.has(slot) && this.#content.slots.size >= MAX_SLOTS) {
        throw new Refusal('refused', `the archive has ${MAX_SLOTS} key slots, and takes no more`);
      }
      await this.putSlot({ name: slot, data });
    } else {
      this.#content.catalogue = data;
      this.#content.kept.put(undefined, data);
    }
    return version;
  }

  async forget(number: number): Promise<void> {
    this.#content.kept.forget(number);
  }

  catalogue(): Pieces {
    return [this.#content.catalogue];
  }

  async putCatalogue(replaces: Uint8Array, catalogue: Uint8Array): Promise<void> {
    mustBeCatalogue(this, catalogue);
    const there = this.#content.catalogue;
    const same = Buffer.compare(there, catalogue) === 0;
    if (!same && !createHash('sha512-256').update(there).digest().equals(replaces)) {
      throw new Refusal('conflict', 'the catalogue to replace is not the one that is there');
    }
    this.#content.catalogue = Uint8Array.from(catalogue);
    this.#content.kept.put(undefined, this.#content.catalogue);
  }

  *volumes(): Generator<VolumeSummary, void, undefined> {
    for (const [volume, { sessions, name }] of [...this.#content.volumes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (sessions.length > 0) yield { volume, name, sessions: sessions.map(summary) };
    }
  }

  *heads(volume: VolumeId, asked: readonly SessionName[]): Generator<StoredHead, void, undefined> {
    for (const { session, head } of this.#sessions(volume)) {
      if (asked.length === 0 || asked.includes(session)) yield { session, data: head };
    }
  }

  async index(volume: VolumeId, session: SessionName): Promise<Pieces | undefined> {
    return this.#upTo(volume, session)?.[0]?.index;
  }

  async page(volume: VolumeId, session: SessionName, range: number): Promise<Pieces | undefined> {
    const page = this.#upTo(volume, session)
      ?.find(({ pages }) => pages.has(range))
      ?.pages.get(range);
    return page === undefined ? undefined : [page];
  }

  async chunk(
    volume: VolumeId,
    session: SessionName,
    address: number,
    target: Uint8Array,
    offset: number,
  ): Promise<number | undefined> {
    const sessions = this.#upTo(volume, session);
    if (sessions === undefined) throw new Refusal('not-found', `${volume} has no session ${session}`);
    const data = sessions.find(({ chunks }) => chunks.has(address))?.chunks.get(address);
    if (data !== undefined) target.set(data, offset);
    return data?.length;
  }

  async resolve(id: VolumeId, pairing: PairingId, resume: boolean): Promise<Resolution> {
    const volume = this.#content.volumes.get(id);
    if (volume === undefined) return { newest: undefined, checkpoint: undefined };
    const mine = volume.unfinished.get(pairing);
    const kept = resume && mine?.checkpoint !== undefined ? mine : undefined;
    dropUnfinished(volume, kept === undefined ? undefined : pairing);
    const newest = volume.sessions.at(-1);
    const stored = newest === undefined ? undefined : { session: newest.session, data: newest.head };
    return { newest: stored, checkpoint: kept?.checkpoint };
  }

  async begin(request: SendRequest): Promise<Send> {
    const known = this.#content.volumes.get(request.volume);
    const volume: MemoryVolume = known ?? { sessions: [], unfinished: new Map(), name: undefined };
    MemorySend.checkBase(volume, request);
    this.#content.volumes.set(request.volume, volume);
    dropUnfinished(volume, request.resume ? request.pairing : undefined);
    const send = MemorySend.begin(volume, request, this.chunkSize);
    this.#sends.add(send);
    return send;
  }

  space(): Space {
    return { totalBytes: 2 ** 40, freeBytes: 2 ** 39, freeInodes: undefined };
  }

  async prune(id: VolumeId, session: SessionName): Promise<number | undefined> {
    const volume = this.#content.volumes.get(id);
    if (volume?.sessions.some((each) => each.session === session) !== true) return undefined;
    mustBePrunable(id, volume.sessions, [session], this.rules);
    return pruneInMemory(volume, session, this.chunkSize);
  }

  async freed(id: VolumeId, asked: readonly SessionName[]): Promise<number | undefined> {
    const volume = this.#content.volumes.get(id);
    if (volume === undefined || volume.sessions.length === 0) return undefined;
    mustBePrunable(id, volume.sessions, asked, this.rules);
    const copy = { ...volume };
    return asked.reduce((sum, session) => sum + pruneInMemory(copy, session, this.chunkSize), 0);
  }

  async usage(id: VolumeId, name: SessionName | undefined): Promise<Usage | undefined> {
    const sessions = this.#sessions(id);
    if (name === undefined && sessions.length > 0) return { files: 0, bytes: 0, diskBytes: 0, sharedBytes: 0 };
    const session = sessions.find((each) => each.session === name);
    if (session === undefined) return undefined;
    const bytes = storedBytes(session);
    return { files: session.chunks.size + session.pages.size + 2, bytes, diskBytes: bytes, sharedBytes: 0 };
  }

  async sharedUsage(): Promise<SharedUsage> {
    return { diskBytes: 0, savedBytes: 0 };
  }

  /** Nothing is saved by it here. */
  async deduplicate(): Promise<Shared> {
    const volumes = [...this.#content.volumes.values()];
    const chunks = volumes.flatMap(({ sessions }) => sessions.flatMap((each) => [...each.chunks.values()]));
    return { chunks: chunks.filter(({ length }) => length > 0).length, linked: 0, savedBytes: 0, copies: 0, mended: 0 };
  }

  /** Nothing is ever cut off here. */
  async keptUsage(): Promise<Usage> {
    const versions = this.#content.kept.versions();
    const bytes = versions.reduce((sum, version) => sum + version.bytes, 0);
    return { files: versions.length, bytes, diskBytes: bytes, sharedBytes: 0 };
  }

  async tidy(): Promise<number> {
    return 0;
  }

  async protect(id: VolumeId, session: SessionName, on: boolean): Promise<boolean> {
    const sessions = this.#content.volumes.get(id)?.sessions ?? [];
    const place = sessions.findIndex((each) => each.session === session);
    const found = sessions[place];
    if (found === undefined) return false;
    sessions[place] = { ...found, protected: on };
    return true;
  }

  async rename(id: VolumeId, name: string): Promise<boolean> {
    if (this.encrypted) throw new Refusal('bad-request', 'a volume’s name in the clear, for an encrypted archive');
    const volume = this.#content.volumes.get(id);
    if (volume === undefined || volume.sessions.length === 0) return false;
    volume.name = name;
    return true;
  }

  async delete(id: VolumeId): Promise<number> {
    const volume = this.#content.volumes.get(id);
    if (volume === undefined) return 0;
    mustBeDeletable(id, volume.sessions, this.rules);
    dropUnfinished(volume, undefined);
    this.#content.volumes.delete(id);
    return volume.sessions.reduce((sum, session) => sum + storedBytes(session), 0);
  }

  /** Nothing rots here. */
  async damage(id: VolumeId): Promise<Hurt | undefined> {
    return this.#sessions(id).length > 0 ? { addresses: [], pages: [] } : undefined;
  }

  async mend(id: VolumeId, session: SessionName): Promise<boolean> {
    return this.#upTo(id, session) !== undefined;
  }

  /** Nothing rots here. */
  async check(): Promise<void> {
    return Promise.resolve();
  }

  async checkObjects(): Promise<readonly ObjectHarm[]> {
    return Promise.resolve([]);
  }

  /** Nor needs reading again. */
  async scrub({ now }: ScrubRequest): Promise<Scrubbed> {
    return { objects: [], harms: [], mended: 0, renewed: 0, since: now, remembered: true };
  }

  async close(): Promise<void> {
    for (const send of this.#sends) send.letGo();
  }

  #sessions(volume: VolumeId): readonly MemorySession[] {
    return this.#content.volumes.get(volume)?.sessions ?? [];
  }

  /** That session and all older ones, newest first; undefined when it is not there. */
  #upTo(volume: VolumeId, session: SessionName): MemorySession[] | undefined {
    const sessions = this.#sessions(volume);
    if (!sessions.some((each) => each.session === session)) return undefined;
    return sessions.filter((each) => each.session <= session).reverse();
  }
}

function dropUnfinished(volume: MemoryVolume, keep: PairingId | undefined): void {
  for (const [pairing, { owner }] of volume.unfinished) {
    if (owner !== undefined) throw new Refusal('locked', 'a send of the volume is under way');
    if (pairing !== keep) volume.unfinished.delete(pairing);
  }
}

function summary(session: MemorySession): SessionSummary {
  const zeros = [...session.chunks.values()].filter(({ length }) => length === 0).length;
  return {
    session: session.session,
    sizeBytes: session.size,
    storedBytes: storedBytes(session),
    files: session.chunks.size,
    zeros,
    committed: session.committed,
    protected: session.protected,
  };
}
