/**
 * An archive of the layout `files`, opened by one connection. The lock of the archive's own folder is held exclusively
 * only while its catalogue or a slot is replaced.
 */
import { join } from 'node:path';
import type { ArchiveId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { MAX_CATALOGUE, mustBeCatalogue, mustBeSlot } from '../object-form.ts';
import { Refusal, attempt, attemptAsync } from '../refusal.ts';
import type {
  ArchiveStore,
  Keeping,
  KeptVersion,
  ArchiveDamage,
  Patience,
  Pieces,
  DamagedParts,
  OnLost,
  Resolution,
  Part,
  Rules,
  ScrubRequest,
  Scrubbed,
  ScrubFindings,
  Send,
  SendRequest,
  VolumeSummary,
  CheckWatcher,
  DedupCounts,
  SharedUsage,
  Slot,
  Space,
  StoredHead,
  Usage,
} from '../store.ts';
import { withExclusiveLock } from './layout/exclusive-lock.ts';
import { beginSend } from './send/start-send.ts';
import { deleteVolume, finishDeleting } from './delete-volume.ts';
import type { Description } from './layout/description.ts';
import type { Disk } from './disk/disk.ts';
import { freedByPruning } from './prune/prune-estimate.ts';
import { removeVersion, keptVersions, putBack } from './kept/kept-versions.ts';
import { MAX_INDEX, MAX_PAGE } from './layout/max-lengths.ts';
import { listHeads, listSlots, listVolumes, sessionsOf, volumeIds } from './layout/list-archive.ts';
import type { HeldLock } from './disk/held-lock.ts';
import { archiveLocks, type ArchiveLocks, type LockTiming } from './layout/archive-locks.ts';
import { damagedPartsOf, repairPart } from './check/repair-volume.ts';
import { CATALOGUE, INDEX, KEPT, KEYS, DEDUP_STORE, VOLUME_NAME, volumeFolder } from './layout/paths.ts';
import { volumePlace, type ArchivePlace, type VolumePlace } from './layout/volume-place.ts';
import { resolveSend } from './send/resolve-send.ts';
import type { FilesSend } from './send/new-session.ts';
import { CATALOGUE_OBJECT, mustReplace, putObject, removeSlot, slotObject } from './kept/objects.ts';
import { checkObjects, repairObjects } from './check/check-objects.ts';
import { DedupStore } from './dedup/dedup-store.ts';
import { finishPruning, pruneSession, tryFinishPruning } from './prune/prune-session.ts';
import { protectSession } from './layout/protection.ts';
import { VolumeReaders } from './layout/readers.ts';
import { newestVisible } from './layout/sessions.ts';
import { nonEmpty, pieces, readFully, withFile } from './disk/small-file.ts';
import type { Floors } from './disk/free-space.ts';
import { scrubArchive } from './check/scrub.ts';
import { scrubFindings } from './check/scrub-findings.ts';
import { newTally, dedupVolume, sweepDedupStore } from './dedup/dedup.ts';
import { sharedUsageOf, usageOf } from './dedup/usage.ts';
import { VolumeCheck } from './check/check-volume.ts';

/** The conditions under which an archive is opened. */
export interface Terms {
  readonly floors: Floors;
  readonly rules: Rules;
  readonly keeping: Keeping;
  readonly patience: Patience;
  readonly locking: LockTiming;
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
  readonly #locks: ArchiveLocks;
  readonly #readers: VolumeReaders;
  readonly #sends = new Set<FilesSend>();

  constructor(
    disk: Disk,
    path: string,
    description: Description,
    { floors, rules, keeping, patience, locking }: Terms,
  ) {
    this.id = description.id;
    this.chunkSize = description.chunkSize;
    this.encrypted = description.encrypted;
    this.dedup = description.dedup;
    this.#disk = disk;
    this.#path = path;
    this.#writable = description.writable;
    this.#locks = archiveLocks(disk, path, patience, locking);
    this.#readers = new VolumeReaders(disk, path, this.chunkSize, this.#locks.reading);
    this.rules = rules;
    this.#place = {
      disk,
      archive: path,
      form: description,
      chunkSize: this.chunkSize,
      dedup: this.dedup,
      floors,
      rules,
      keeping,
      patience,
      locks: this.#locks,
      readers: this.#readers,
    };
  }

  slots(onLost?: OnLost<string>): Iterable<Slot> {
    return listSlots(this.#place, onLost);
  }

  async putSlot(slot: Slot): Promise<void> {
    mustBeSlot(this, slot);
    await this.#alone(`write ${KEYS}/${slot.name}`, () => {
      // The folder may be missing with all slots in it.
      if (this.#disk.kindOf(this.#at(KEYS)) === undefined) {
        this.#disk.makeFolder(this.#at(KEYS));
        this.#disk.syncFolder(this.#path);
      }
      putObject(this.#place, slotObject(slot.name), slot.data);
    });
  }

  async dropSlot(name: string): Promise<void> {
    await this.#alone(`remove ${KEYS}/${name}`, () => {
      removeSlot(this.#place, name);
    });
  }

  kept(): readonly KeptVersion[] {
    return attempt(`list ${KEPT}`, () => keptVersions(this.#place));
  }

  async putBack(number: number): Promise<KeptVersion> {
    return await this.#alone(`put version ${number} back`, () => putBack(this.#place, number));
  }

  async forget(number: number): Promise<void> {
    await this.#alone(`remove version ${number}`, () => {
      removeVersion(this.#place, number);
    });
  }

  catalogue(): Pieces {
    return nonEmpty(CATALOGUE, pieces(this.#disk, this.#at(CATALOGUE), CATALOGUE, MAX_CATALOGUE));
  }

  async putCatalogue(replaces: Uint8Array, catalogue: Uint8Array): Promise<void> {
    mustBeCatalogue(this, catalogue);
    await this.#alone(`write ${CATALOGUE}`, () => {
      mustReplace(this.#place, replaces, catalogue);
      putObject(this.#place, CATALOGUE_OBJECT, catalogue);
    });
  }

  volumes(onLost?: OnLost<VolumeId>): Iterable<VolumeSummary> {
    return listVolumes(this.#place, onLost);
  }

  heads(volume: VolumeId, sessions: readonly SessionName[], onLost?: OnLost<SessionName>): Iterable<StoredHead> {
    return listHeads(this.#place, volume, sessions, onLost);
  }

  async index(volume: VolumeId, session: SessionName): Promise<Pieces | undefined> {
    const found = (await this.#readers.get(volume, session))?.session(session);
    if (found === undefined) return undefined;
    return pieces(this.#disk, join(found.path, INDEX), `${volumeFolder(volume)}/${session}/${INDEX}`, MAX_INDEX);
  }

  async page(volume: VolumeId, session: SessionName, range: number): Promise<Pieces | undefined> {
    const reader = await this.#readers.get(volume, session);
    const path = attempt(`look for page ${range} of ${volumeFolder(volume)}`, () => reader?.at(session)?.page(range));
    return path === undefined ? undefined : pieces(this.#disk, path, this.#nameOf(path), MAX_PAGE);
  }

  async chunk(
    volume: VolumeId,
    session: SessionName,
    address: number,
    target: Uint8Array,
    offset: number,
  ): Promise<number | undefined> {
    const overlay = (await this.#readers.get(volume, session))?.at(session);
    if (overlay === undefined) throw new Refusal('not-found', `${volumeFolder(volume)} has no session ${session}`);
    const path = attempt(`look for ${address} in ${volumeFolder(volume)}`, () => overlay.chunk(address));
    if (path === undefined) return undefined;
    const name = this.#nameOf(path);
    return attempt(`read ${name}`, () =>
      withFile(this.#disk, path, name, (fd, size) => {
        if (size > target.length - offset) throw new Refusal('io', `${name} is longer than a chunk can be`);
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

  async deduplicate(onRefused?: OnLost<VolumeId>): Promise<DedupCounts> {
    this.#mustBeWritable();
    const tally = newTally();
    const dedupStore = attempt('open the deduplication store', () => DedupStore.open(this.#disk, this.#path, true));
    if (dedupStore === undefined) throw new Refusal('io', `the folder ${DEDUP_STORE} cannot be made`);
    await this.#eachVolume(onRefused, (place) => dedupVolume(place, dedupStore, tally));
    await sweepDedupStore(this.#disk, dedupStore);
    return tally;
  }

  async usage(volume: VolumeId, session: SessionName | undefined): Promise<Usage | undefined> {
    const name = volumeFolder(volume);
    return await this.#readers.using(volume, async (reader) => {
      const sessions = reader?.sessions.filter(({ hidden }) => !hidden) ?? [];
      const visible = sessions.map(({ path }) => path);
      const own = sessions.find((each) => each.session === session)?.path;
      if (session === undefined ? sessions.length === 0 : own === undefined) return undefined;
      const all = this.#disk.list(this.#at(name)).map((each) => join(this.#at(name), each));
      const paths = own === undefined ? all.filter((path) => !visible.includes(path)) : [own];
      return await usageOf(this.#disk, paths, DedupStore.open(this.#disk, this.#path, false) !== undefined);
    });
  }

  async sharedUsage(): Promise<SharedUsage> {
    return await attemptAsync('look at the deduplication store', async () => {
      const dedupStore = DedupStore.open(this.#disk, this.#path, false);
      return dedupStore === undefined ? { diskBytes: 0, savedBytes: 0 } : await sharedUsageOf(this.#disk, dedupStore);
    });
  }

  async keptUsage(): Promise<Usage> {
    return await attemptAsync(`look at ${KEPT}`, () => usageOf(this.#disk, [this.#at(KEPT)], false));
  }

  async tidy(onRefused?: OnLost<VolumeId>): Promise<number> {
    this.#mustBeWritable();
    let bytes = await finishDeleting(this.#place);
    await this.#eachVolume(onRefused, async (place) => {
      bytes += await finishPruning(place);
    });
    return bytes;
  }

  async protect(volume: VolumeId, session: SessionName, on: boolean): Promise<boolean> {
    this.#mustBeWritable();
    return await protectSession(volumePlace(this.#place, volume), session, on);
  }

  async rename(volume: VolumeId, name: string): Promise<boolean> {
    this.#mustBeWritable();
    if (this.encrypted) throw new Refusal('bad-request', 'a volume’s name in plain text, for an encrypted archive');
    const place = volumePlace(this.#place, volume);
    const done = await withExclusiveLock(place, 'rename', () => {
      if (newestVisible(sessionsOf(this.#place, volume)) === undefined) return false;
      this.#disk.replace(join(place.volume, VOLUME_NAME), `${name}\n`);
      return true;
    });
    return done ?? false;
  }

  async delete(volume: VolumeId): Promise<number> {
    this.#mustBeWritable();
    return await deleteVolume(volumePlace(this.#place, volume));
  }

  async damage(volume: VolumeId): Promise<DamagedParts | undefined> {
    return await damagedPartsOf(volumePlace(this.#place, volume));
  }

  async repair(volume: VolumeId, session: SessionName, part: Part, data: Uint8Array): Promise<boolean> {
    this.#mustBeWritable();
    return await repairPart(volumePlace(this.#place, volume), session, part, data);
  }

  async scrub(request: ScrubRequest): Promise<Scrubbed> {
    this.#mustBeWritable();
    for (const volume of volumeIds(this.#place)) await tryFinishPruning(volumePlace(this.#place, volume));
    const objects = await this.#alone('look at the catalogue and the key slots', () => repairObjects(this.#place));
    return { objects, ...(await scrubArchive(this.#place, volumeIds(this.#place), request)) };
  }

  async scrubFindings(now: number): Promise<ScrubFindings> {
    return await scrubFindings(this.#place, volumeIds(this.#place), now);
  }

  async checkObjects(after: (bytes: number) => void): Promise<readonly ArchiveDamage[]> {
    return await attemptAsync('look at the catalogue and the key slots', () =>
      this.#locks.changing.during('shared', () => checkObjects(this.#place, after)),
    );
  }

  async check(volume: VolumeId, watcher: CheckWatcher): Promise<void> {
    if (this.#writable) await tryFinishPruning(volumePlace(this.#place, volume));
    const check = new VolumeCheck(this.#disk, this.#path, watcher);
    // Oldest first: a concurrent prune moves files only to sessions that are still to come.
    for (const { session } of (await this.#readers.get(volume))?.sessions ?? []) {
      await check.session((work) =>
        this.#readers.using(volume, (reader) => work(reader?.sessions.find((each) => each.session === session)?.path)),
      );
    }
    this.#readers.forget(volume);
  }

  async close(): Promise<void> {
    for (const send of this.#sends) send.letGo();
    for (const lock of Object.values(this.#locks) as HeldLock[]) lock.letGo();
  }

  async #eachVolume(
    onRefused: OnLost<VolumeId> | undefined,
    work: (place: VolumePlace) => Promise<void>,
  ): Promise<void> {
    for (const volume of volumeIds(this.#place)) {
      try {
        await work(volumePlace(this.#place, volume));
      } catch (error) {
        if (!(error instanceof Refusal) || onRefused === undefined) throw error;
        onRefused(volume, error);
      }
    }
  }

  async #alone<T>(what: string, change: () => T): Promise<T> {
    this.#mustBeWritable();
    return await attemptAsync(what, () => this.#locks.changing.during('alone', change));
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
