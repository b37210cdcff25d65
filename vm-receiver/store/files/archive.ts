/**
 * An archive of the layout `files`, as one connection has it open. The lock of the archive's own folder is held alone for
 * the moments in which its catalogue or a slot is replaced.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isId, isSlotName, type ArchiveId, type SessionName, type VolumeId } from '../../../shared/archive/names.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { Refusal, attempt, attemptAsync, isLoss } from '../refusal.ts';
import type {
  ArchiveStore,
  Patience,
  Pieces,
  Hurt,
  Resolution,
  Part,
  Rules,
  ScrubRequest,
  Scrubbed,
  Send,
  SendRequest,
  SessionSummary,
  VolumeSummary,
  CheckWatcher,
  Shared,
  SharedUsage,
  Slot,
  Space,
  StoredHead,
  Usage,
} from '../store.ts';
import { aloneIn } from './alone.ts';
import { beginSend } from './begin.ts';
import { deleteVolume, finishDeleting } from './delete.ts';
import type { Description } from './description.ts';
import type { Disk } from './disk.ts';
import { freedByPruning } from './freed.ts';
import { FolderLock } from './lock.ts';
import { damageOf, mendPart } from './mend.ts';
import { CATALOGUE, INDEX, KEYS, POOL, VOLUMES, VOLUME_NAME, volumeFolder } from './paths.ts';
import { volumePlace, type ArchivePlace } from './place.ts';
import { MAX_SMALL, readHead, resolveSend } from './resolve.ts';
import type { FilesSend } from './send.ts';
import { Pool } from './pool.ts';
import { finishPruning, pruneSession, tryFinishPruning } from './pruning.ts';
import { isProtected, protectSession } from './protect.ts';
import { VolumeReaders } from './readers.ts';
import { listSessions, newestVisible, type StoredSession } from './sessions.ts';
import { pieces, readFully, readSmall, withFile } from './small-file.ts';
import type { Floors } from './space.ts';
import { scrubArchive } from './scrub.ts';
import { newTally, shareVolume, sweepPool } from './sharing.ts';
import { readStats } from './stats.ts';
import { sharedUsageOf, usageOf } from './usage.ts';
import { VolumeCheck } from './volume-check.ts';

/** The longest catalogue. */
export const MAX_CATALOGUE = 16 * 2 ** 20;

/** What an archive is opened with. */
export interface Terms {
  readonly floors: Floors;
  readonly rules: Rules;
  readonly patience: Patience;
}

export class FilesArchive implements ArchiveStore {
  readonly id: ArchiveId;
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly rules: Rules;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #writable: boolean;
  readonly #place: ArchivePlace;
  readonly #readers: VolumeReaders;
  readonly #sends = new Set<FilesSend>();

  constructor(disk: Disk, path: string, description: Description, { floors, rules, patience }: Terms) {
    this.id = description.id;
    this.chunkSize = description.chunkSize;
    this.encrypted = description.encrypted;
    this.dedup = description.dedup;
    this.#disk = disk;
    this.#path = path;
    this.#writable = description.writable;
    this.#readers = new VolumeReaders(disk, path, this.chunkSize, patience);
    this.rules = rules;
    this.#place = {
      disk,
      archive: path,
      chunkSize: this.chunkSize,
      dedup: this.dedup,
      floors,
      rules,
      patience,
      readers: this.#readers,
    };
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

  #volumeIds(): VolumeId[] {
    const names = attempt(`list ${VOLUMES}`, () => this.#disk.list(this.#at(VOLUMES)).sort());
    return names.filter(isId) as VolumeId[];
  }

  *volumes(): Generator<VolumeSummary, void, undefined> {
    for (const volume of this.#volumeIds()) {
      const sessions = this.#sessions(volume).filter(({ hidden }) => !hidden);
      if (sessions.length === 0) continue;
      const shown = this.#small(`${volumeFolder(volume)}/${VOLUME_NAME}`);
      yield {
        volume,
        name: shown === undefined ? undefined : Buffer.from(shown).toString().trimEnd(),
        sessions: sessions.map((each) => this.#summary(volume, each)),
      };
    }
  }

  #summary(volume: VolumeId, { session, path }: StoredSession): SessionSummary {
    const name = `${volumeFolder(volume)}/${session}`;
    return attempt(`read ${name}`, () => ({
      session,
      ...readStats(this.#disk, path, name),
      protected: isProtected(this.#disk, path),
    }));
  }

  *heads(
    volume: VolumeId,
    sessions: readonly SessionName[],
    onLost?: (why: Refusal) => void,
  ): Generator<StoredHead, void, undefined> {
    const asked = new Set(sessions);
    for (const each of this.#sessions(volume)) {
      if (each.hidden || (asked.size > 0 && !asked.has(each.session))) continue;
      const head = this.#head(volumeFolder(volume), each, onLost);
      if (head !== undefined) yield head;
    }
  }

  /** Undefined when the session went while we looked: no lock is held for this. */
  #head(
    volumeName: string,
    session: StoredSession,
    onLost: ((why: Refusal) => void) | undefined,
  ): StoredHead | undefined {
    try {
      return attempt(`read ${volumeName}`, () => readHead({ disk: this.#disk, volumeName }, session));
    } catch (error) {
      if (attempt(`read ${volumeName}`, () => this.#disk.kindOf(session.path)) === undefined) return undefined;
      if (onLost === undefined || !isLoss(error)) throw error;
      onLost(error);
      return undefined;
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
    this.#mustBeWritable();
    return await resolveSend(volumePlace(this.#place, volume), pairing, resume);
  }

  async begin(request: SendRequest): Promise<Send> {
    this.#mustBeWritable();
    const send = await beginSend(volumePlace(this.#place, request.volume), request);
    this.#sends.add(send);
    return send;
  }

  space(): Space {
    return attempt('look at the space left', () => this.#disk.space(this.#path));
  }

  async prune(volume: VolumeId, session: SessionName): Promise<number | undefined> {
    this.#mustBeWritable();
    return await pruneSession(volumePlace(this.#place, volume), session);
  }

  async freed(volume: VolumeId, sessions: readonly SessionName[]): Promise<number | undefined> {
    return await freedByPruning(volumePlace(this.#place, volume), sessions);
  }

  async deduplicate(): Promise<Shared> {
    this.#mustBeWritable();
    const tally = newTally();
    const pool = attempt('open the pool', () => Pool.open(this.#disk, this.#path, true));
    if (pool === undefined) throw new Refusal('io', `${POOL} is no folder`);
    for (const volume of this.#volumeIds()) await shareVolume(volumePlace(this.#place, volume), pool, tally);
    await sweepPool(this.#disk, pool);
    return tally;
  }

  async usage(volume: VolumeId, session: SessionName | undefined): Promise<Usage | undefined> {
    const name = volumeFolder(volume);
    return await attemptAsync(`look at ${name}`, async () => {
      const sessions = (await this.#readers.get(volume))?.sessions.filter(({ hidden }) => !hidden) ?? [];
      const visible = sessions.map(({ path }) => path);
      const own = sessions.find((each) => each.session === session)?.path;
      if (session === undefined ? sessions.length === 0 : own === undefined) return undefined;
      const all = this.#disk.list(this.#at(name)).map((each) => join(this.#at(name), each));
      const paths = own === undefined ? all.filter((path) => !visible.includes(path)) : [own];
      return await usageOf(this.#disk, paths, Pool.open(this.#disk, this.#path, false) !== undefined);
    });
  }

  async sharedUsage(): Promise<SharedUsage> {
    return await attemptAsync('look at the pool', async () => {
      const pool = Pool.open(this.#disk, this.#path, false);
      return pool === undefined ? { diskBytes: 0, savedBytes: 0 } : await sharedUsageOf(this.#disk, pool);
    });
  }

  async tidy(): Promise<number> {
    this.#mustBeWritable();
    let bytes = await finishDeleting(this.#place);
    for (const volume of this.#volumeIds()) bytes += await finishPruning(volumePlace(this.#place, volume));
    return bytes;
  }

  async protect(volume: VolumeId, session: SessionName, on: boolean): Promise<boolean> {
    this.#mustBeWritable();
    return await protectSession(volumePlace(this.#place, volume), session, on);
  }

  async rename(volume: VolumeId, name: string): Promise<boolean> {
    this.#mustBeWritable();
    if (this.encrypted) throw new Refusal('bad-request', 'a volume’s name in the clear, for an encrypted archive');
    const place = volumePlace(this.#place, volume);
    const done = await aloneIn(place, 'rename', () => {
      if (newestVisible(this.#sessions(volume)) === undefined) return false;
      this.#disk.replace(join(place.volume, VOLUME_NAME), `${name}\n`);
      return true;
    });
    return done ?? false;
  }

  async delete(volume: VolumeId): Promise<number> {
    this.#mustBeWritable();
    return await deleteVolume(volumePlace(this.#place, volume));
  }

  async damage(volume: VolumeId): Promise<Hurt | undefined> {
    return await damageOf(volumePlace(this.#place, volume));
  }

  async mend(volume: VolumeId, session: SessionName, part: Part, data: Uint8Array): Promise<boolean> {
    this.#mustBeWritable();
    return await mendPart(volumePlace(this.#place, volume), session, part, data);
  }

  async scrub(request: ScrubRequest): Promise<Scrubbed> {
    this.#mustBeWritable();
    for (const volume of this.#volumeIds()) await tryFinishPruning(volumePlace(this.#place, volume));
    return await scrubArchive(this.#place, this.#volumeIds(), request);
  }

  async check(volume: VolumeId, watcher: CheckWatcher): Promise<void> {
    if (this.#writable) await tryFinishPruning(volumePlace(this.#place, volume));
    const check = new VolumeCheck(this.#disk, this.#path, watcher);
    const sessions = async () => (await this.#readers.get(volume))?.sessions ?? [];
    // Oldest first: what a prune moves meanwhile goes to a session that is still to come.
    for (const { session } of await sessions()) {
      await check.session(async () => (await sessions()).find((each) => each.session === session)?.path);
    }
    this.#readers.release(volume);
  }

  async close(): Promise<void> {
    this.#readers.close();
    for (const send of this.#sends) send.letGo();
  }

  #sessions(volume: VolumeId): StoredSession[] {
    const name = volumeFolder(volume);
    return attempt(`list ${name}`, () => listSessions(this.#disk, this.#at(name), name));
  }

  #small(name: string): Uint8Array | undefined {
    return attempt(`read ${name}`, () => readSmall(this.#disk, this.#at(name), name, MAX_SMALL));
  }

  async #alone(what: string, change: () => void): Promise<void> {
    this.#mustBeWritable();
    const { patience } = this.#place;
    const lock = await attemptAsync(what, () =>
      FolderLock.take(this.#disk, this.#path, 'alone', 'the archive', patience),
    );
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
