/**
 * An archive of the layout `files`, as one connection has it open. The lock of the archive's own folder is held alone for
 * the moments in which its catalogue or a slot is replaced.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isId, isSlotName, type ArchiveId, type SessionName, type VolumeId } from '../../../shared/archive/names.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { Refusal, attempt, attemptAsync } from '../refusal.ts';
import type {
  ArchiveStore,
  Patience,
  Pieces,
  Resolution,
  Send,
  SendRequest,
  SessionSummary,
  Slot,
  StoredHead,
} from '../store.ts';
import { isOf, readCheckpoint } from './checkpoint.ts';
import type { Description } from './description.ts';
import type { Disk } from './disk.ts';
import { FolderLock } from './lock.ts';
import { CATALOGUE, HEAD, INDEX, KEYS, VOLUMES, volumeFolder } from './paths.ts';
import { VolumeReaders } from './readers.ts';
import { FilesSend, checkBase, type SendPlace } from './send.ts';
import { listSessions, newestVisible, type StoredSession } from './sessions.ts';
import { pieces, readFully, readSmall, withFile } from './small-file.ts';
import { SpaceWatch, type Floors } from './space.ts';
import { readStats } from './stats.ts';
import { UnfinishedSend } from './unfinished.ts';

/** The longest head and slot that fit a frame with room to spare. */
export const MAX_SMALL = 64 * 1024;
/** The longest catalogue. */
export const MAX_CATALOGUE = 16 * 2 ** 20;

export class FilesArchive implements ArchiveStore {
  readonly id: ArchiveId;
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #writable: boolean;
  readonly #floors: Floors;
  readonly #patience: Patience;
  readonly #readers: VolumeReaders;
  readonly #sends = new Set<FilesSend>();

  constructor(disk: Disk, path: string, description: Description, floors: Floors, patience: Patience) {
    this.id = description.id;
    this.chunkSize = description.chunkSize;
    this.encrypted = description.encrypted;
    this.dedup = description.dedup;
    this.#disk = disk;
    this.#path = path;
    this.#writable = description.writable;
    this.#floors = floors;
    this.#patience = patience;
    this.#readers = new VolumeReaders(disk, path, this.chunkSize, patience);
  }

  *slots(): Generator<Slot, void, undefined> {
    for (const name of attempt(`list ${KEYS}`, () => this.#disk.list(this.#at(KEYS)).sort())) {
      if (!isSlotName(name)) continue;
      const data = this.#small(`${KEYS}/${name}`);
      if (data !== undefined) yield { name, data };
    }
  }

  async putSlot({ name, data }: Slot): Promise<void> {
    await this.#alone(`write ${KEYS}/${name}`, () => this.#disk.replace(this.#at(`${KEYS}/${name}`), data));
  }

  async dropSlot(name: string): Promise<void> {
    await this.#alone(`remove ${KEYS}/${name}`, () => {
      this.#disk.remove(this.#at(`${KEYS}/${name}`));
      this.#disk.syncFolder(this.#at(KEYS));
    });
  }

  catalogue(): Pieces {
    return pieces(this.#disk, this.#at(CATALOGUE), CATALOGUE);
  }

  async putCatalogue(replaces: Uint8Array, catalogue: Uint8Array): Promise<void> {
    await this.#alone(`write ${CATALOGUE}`, () => {
      const there = readSmall(this.#disk, this.#at(CATALOGUE), CATALOGUE, MAX_CATALOGUE) ?? new Uint8Array(0);
      // Put again even when it is the same: whoever put it may have been killed before it was durable.
      const same = Buffer.compare(there, catalogue) === 0;
      if (!same && !createHash('sha512-256').update(there).digest().equals(replaces)) {
        throw new Refusal('conflict', 'the catalogue to replace is not the one that is there');
      }
      this.#disk.replace(this.#at(CATALOGUE), catalogue);
    });
  }

  *volumes(): Generator<{ volume: VolumeId; sessions: SessionSummary[] }, void, undefined> {
    for (const name of attempt(`list ${VOLUMES}`, () => this.#disk.list(this.#at(VOLUMES)).sort())) {
      if (!isId(name)) continue;
      const volume = name as VolumeId;
      const sessions = this.#sessions(volume).filter(({ hidden }) => !hidden);
      if (sessions.length === 0) continue;
      yield { volume, sessions: sessions.map((each) => this.#summary(volume, each)) };
    }
  }

  #summary(volume: VolumeId, { session, path }: StoredSession): SessionSummary {
    const name = `${volumeFolder(volume)}/${session}`;
    const { storedBytes, files } = attempt(`read ${name}`, () => readStats(this.#disk, path, name));
    return { session, storedBytes, files };
  }

  *heads(volume: VolumeId, sessions: readonly SessionName[]): Generator<StoredHead, void, undefined> {
    const asked = new Set(sessions);
    for (const each of this.#sessions(volume)) {
      if (each.hidden || (asked.size > 0 && !asked.has(each.session))) continue;
      yield { session: each.session, data: this.#head(volume, each) };
    }
  }

  async index(volume: VolumeId, session: SessionName): Promise<Pieces | undefined> {
    const found = (await this.#readers.get(volume))?.session(session);
    if (found === undefined) return undefined;
    return pieces(this.#disk, join(found.path, INDEX), `${volumeFolder(volume)}/${session}/${INDEX}`);
  }

  async page(volume: VolumeId, session: SessionName, range: number): Promise<Pieces | undefined> {
    const reader = await this.#readers.get(volume);
    const path = attempt(`look for page ${range} of ${volumeFolder(volume)}`, () => reader?.at(session)?.page(range));
    return path === undefined ? undefined : pieces(this.#disk, path, this.#nameOf(path));
  }

  async chunk(
    volume: VolumeId,
    session: SessionName,
    address: number,
    target: Uint8Array,
    offset: number,
  ): Promise<number | undefined> {
    const overlay = (await this.#readers.get(volume))?.at(session);
    if (overlay === undefined) throw new Refusal('not-found', `${volumeFolder(volume)} has no session ${session}`);
    const path = attempt(`look for ${address} in ${volumeFolder(volume)}`, () => overlay.chunk(address));
    if (path === undefined) return undefined;
    const name = this.#nameOf(path);
    return attempt(`read ${name}`, () =>
      withFile(this.#disk, path, name, (fd, size) => {
        if (size > target.length - offset) throw new Refusal('io', `${name} is longer than a chunk may be`);
        readFully(this.#disk, fd, target, offset, size, name);
        return size;
      }),
    );
  }

  async resolve(volume: VolumeId, pairing: PairingId, resume: boolean): Promise<Resolution> {
    const path = this.#at(volumeFolder(volume));
    const name = volumeFolder(volume);
    this.#mustBeWritable();
    if (this.#disk.kindOf(path) !== 'folder') return { newest: undefined, checkpoint: undefined };
    let checkpoint: number | undefined;
    await attemptAsync(`look for unfinished sends in ${name}`, async () => {
      for await (const send of UnfinishedSend.claimAll(this.#disk, path, name, this.#patience)) {
        const found = send.pairing === pairing && resume ? readCheckpoint(this.#disk, send.path, send.name) : undefined;
        if (found === undefined) await send.discard();
        else send.release();
        checkpoint ??= found?.address;
      }
    });
    this.#readers.release(volume);
    const reader = await this.#readers.get(volume);
    // Whoever renamed the newest one may have been killed before that was durable, and the answer lets dom0 build on it.
    attempt(`make ${name} durable`, () => this.#disk.syncFolder(path));
    const newest = newestVisible(reader?.sessions ?? []);
    if (newest === undefined) return { newest: undefined, checkpoint };
    return { newest: { session: newest.session, data: this.#head(volume, newest) }, checkpoint };
  }

  async begin(request: SendRequest): Promise<Send> {
    const place = this.#sendPlace(request.volume);
    const { disk, volume, volumeName, patience } = place;
    this.#mustBeWritable();
    attempt('look at the free space', () => place.space.look());
    attempt(`begin a send in ${volumeName}`, () => {
      checkBase(place, request);
      if (disk.kindOf(volume) !== undefined) return;
      disk.makeFolder(volume);
      disk.syncFolder(this.#at(VOLUMES));
    });
    return await attemptAsync(`begin a send in ${volumeName}`, async () => {
      const resumed = await this.#clear(place, request);
      const folder = resumed ?? (await UnfinishedSend.make(disk, volume, volumeName, request.pairing, patience));
      try {
        // Again: another sender may have been waited for.
        checkBase(place, request);
        const send = await this.#send(place, request, folder);
        this.#sends.add(send);
        return send;
      } catch (error) {
        if (resumed === undefined) await folder.discard();
        folder.release();
        throw error;
      }
    });
  }

  /** Removes what others left of their sends; gives the one to resume. */
  async #clear(place: SendPlace, request: SendRequest): Promise<UnfinishedSend | undefined> {
    const { disk, volume, volumeName, patience } = place;
    let resumed: UnfinishedSend | undefined;
    for await (const send of UnfinishedSend.claimAll(disk, volume, volumeName, patience)) {
      if (request.resume && send.pairing === request.pairing) resumed = send;
      else await send.discard();
    }
    if (request.resume && resumed === undefined) {
      throw new Refusal('not-found', `there is no such send to resume in ${volumeName}`);
    }
    return resumed;
  }

  async #send(place: SendPlace, request: SendRequest, folder: UnfinishedSend): Promise<FilesSend> {
    if (!request.resume)
      return new FilesSend(place, request, folder, undefined, { files: 0, zeros: 0, storedBytes: 0 });
    const checkpoint = readCheckpoint(this.#disk, folder.path, folder.name);
    if (checkpoint === undefined) throw new Refusal('not-found', `${folder.name} has no checkpoint`);
    if (!isOf(checkpoint, request)) throw new Refusal('bad-request', `${folder.name} is another send of the volume`);
    await folder.dropFrom(checkpoint.address, this.chunkSize);
    return new FilesSend(place, request, folder, checkpoint.address, await folder.count());
  }

  #sendPlace(volume: VolumeId): SendPlace {
    const volumeName = volumeFolder(volume);
    return {
      disk: this.#disk,
      volume: this.#at(volumeName),
      volumeName,
      chunkSize: this.chunkSize,
      readers: this.#readers,
      patience: this.#patience,
      space: new SpaceWatch(this.#disk, this.#path, this.#floors),
    };
  }

  async close(): Promise<void> {
    this.#readers.close();
    for (const send of this.#sends) send.letGo();
  }

  #sessions(volume: VolumeId): StoredSession[] {
    const name = volumeFolder(volume);
    return attempt(`list ${name}`, () => listSessions(this.#disk, this.#at(name), name));
  }

  #head(volume: VolumeId, { session, path }: StoredSession): Uint8Array {
    const name = `${volumeFolder(volume)}/${session}/${HEAD}`;
    const head = attempt(`read ${name}`, () => readSmall(this.#disk, join(path, HEAD), name, MAX_SMALL));
    if (head === undefined) throw new Refusal('io', `${name} is missing`);
    return head;
  }

  #small(name: string): Uint8Array | undefined {
    return attempt(`read ${name}`, () => readSmall(this.#disk, this.#at(name), name, MAX_SMALL));
  }

  async #alone(what: string, change: () => void): Promise<void> {
    this.#mustBeWritable();
    const lock = await FolderLock.take(this.#disk, this.#path, 'alone', 'the archive', this.#patience);
    try {
      attempt(what, change);
    } finally {
      lock.release();
    }
  }

  #mustBeWritable(): void {
    if (!this.#writable) {
      throw new Refusal('unsupported', 'only a newer receiver may write to this archive', {
        hint: 'Upgrade sparsebak in the backup VM.',
      });
    }
  }

  #at(name: string): string {
    return join(this.#path, name);
  }

  #nameOf(path: string): string {
    return path.slice(this.#path.length + 1);
  }
}
