/**
 * Reads everything that is stored, a part at a time: what was not read for longest comes first, and an interrupted
 * reading continues where it stopped.
 */
import { join } from 'node:path';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import { isId, type SessionName, type VolumeId } from '../../../../shared/archive/names.ts';
import { attemptAsync, isLoss, type Refusal } from '../../refusal.ts';
import type { VolumeDamage, ScrubRequest, Scrubbed } from '../../store.ts';
import { withExclusiveLock } from '../layout/exclusive-lock.ts';
import { RANGE, SESSION, inspectFolder, listFolder, type Content, type Finding } from '../layout/inspect-folder.ts';
import { FolderLock } from '../disk/folder-lock.ts';
import { listOwn, makeOwnFolder, removeOwn, writeOwn } from '../disk/own-file.ts';
import { CHECKSUMS, SCRUB, SIZE, volumeFolder } from '../layout/paths.ts';
import { volumePlace, type ArchivePlace } from '../layout/volume-place.ts';
import { renewChecksums } from './renew-checksums.ts';
import { parseStoredPath, formatStoredPath } from '../layout/stored-path.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { ScrubState } from './scrub-state.ts';
import { damageNow, knownDamages, least, unreadable } from './scrub-findings.ts';
import type { StoredSession } from '../layout/sessions.ts';
import { sweepDedupStore } from '../dedup/dedup.ts';
import { describeSize, readSize } from '../layout/size-file.ts';
import { recountStats } from '../layout/session-stats.ts';

/** Milliseconds between two saves of the progress. */
const NOTED_EVERY = 10_000;

type OfVolumes = Omit<Scrubbed, 'objects'>;

interface Due {
  readonly volume: VolumeId;
  readonly session: SessionName;
  readonly since: number;
}

/** Scrubs an archive's volumes; holds a lock of its own, so that only one runs at a time. */
export async function scrubArchive(
  place: ArchivePlace,
  volumes: readonly VolumeId[],
  request: ScrubRequest,
): Promise<OfVolumes> {
  const { disk, archive, patience } = place;
  return await attemptAsync('scrub', async () => {
    const folder = join(archive, SCRUB);
    // Without it, everything is read as if for the first time.
    const isThere = makeOwnFolder(disk, folder);
    const lock = isThere
      ? await FolderLock.take(disk, folder, 'alone', 'the scrub of the archive', patience)
      : undefined;
    try {
      for (const name of listOwn(disk, folder)) {
        if (isId(name) && !volumes.includes(name as VolumeId)) removeOwn(disk, join(folder, name));
      }
      return await new Scrub(place, request).run(volumes);
    } finally {
      lock?.release();
    }
  });
}

interface Folder {
  readonly volume: VolumeId;
  readonly session: SessionName;
  /** Undefined for the session's own files. */
  readonly range: string | undefined;
}

class Scrub {
  readonly #place: ArchivePlace;
  readonly #request: ScrubRequest;
  readonly #dedupStore: DedupStore | undefined;
  /** Volumes that cannot be read at all: they are reported, and the others are still read. */
  readonly #lost = new Map<VolumeId, Refusal>();
  #noted = performance.now();
  #repaired = 0;
  #renewed = 0;
  #remembered = true;

  constructor(place: ArchivePlace, request: ScrubRequest) {
    this.#place = place;
    this.#request = request;
    this.#dedupStore = DedupStore.open(place.disk, place.archive, false);
  }

  async run(volumes: readonly VolumeId[]): Promise<OfVolumes> {
    const due: Due[] = [];
    for (const volume of volumes) due.push(...((await this.#ofVolume(volume, () => this.#dueOf(volume))) ?? []));
    due.sort((a, b) => a.since - b.since);
    for (const each of due) {
      if (this.#lost.has(each.volume)) continue;
      if ((await this.#ofVolume(each.volume, () => this.#session(each))) === false) break;
    }
    if (this.#dedupStore !== undefined) await sweepDedupStore(this.#place.disk, this.#dedupStore);
    return await this.#result(volumes);
  }

  /** Undefined if the volume turns out to be lost. */
  async #ofVolume<T>(volume: VolumeId, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await attemptAsync(`read ${volumeFolder(volume)}`, work);
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#lost.set(volume, error);
      return undefined;
    }
  }

  #save(state: ScrubState): void {
    if (!state.save()) this.#remembered = false;
  }

  /** Sessions that were not read since the requested time; a partly read one comes first. */
  async #dueOf(volume: VolumeId): Promise<Due[]> {
    const { before, now } = this.#request;
    const { state, sessions } = await this.#look(volume);
    return sessions.flatMap(({ session }) => {
      const { since, began } = state.get(session);
      // A time in the future was written while a clock was wrong.
      if (since !== undefined && since >= before && since <= now) return [];
      return [{ volume, session, since: began === undefined ? (since ?? 0) : -1 }];
    });
  }

  async #look(volume: VolumeId): Promise<{ state: ScrubState; sessions: readonly StoredSession[] }> {
    const { disk, archive, readers } = this.#place;
    const sessions = (await readers.get(volume))?.sessions ?? [];
    const state = ScrubState.load(disk, archive, volume);
    state.follow(sessions.map(({ session }) => session));
    return { state, sessions };
  }

  /** Reads one session from where its reading stopped; returns whether to continue. */
  async #session({ volume, session }: Due): Promise<boolean> {
    const { now, more } = this.#request;
    if (!more()) return false;
    const { state } = await this.#look(volume);
    const { began = now, next = '', ...known } = state.get(session);
    const note = (done: Partial<{ next: string }>) => {
      state.set(session, { ...known, began, ...done });
      this.#save(state);
      this.#noted = performance.now();
    };
    let path = await this.#pathOf(volume, session);
    if (path !== undefined && next === '') await this.#folder(state, { volume, session, range: undefined }, path);
    for (const range of path === undefined ? [] : this.#rangesIn(state, session, path)) {
      if (range < next) continue;
      if (!more()) {
        note({ next: range });
        return false;
      }
      if (performance.now() - this.#noted > NOTED_EVERY) note({ next: range });
      path = await this.#pathOf(volume, session);
      if (path === undefined) break;
      await this.#folder(state, { volume, session, range }, path);
    }
    await this.#finish(volume, session, state, began);
    return true;
  }

  /** It was read completely, unless files were moved to it from a session that was pruned meanwhile. */
  async #finish(volume: VolumeId, session: SessionName, state: ScrubState, began: number): Promise<void> {
    this.#place.readers.forget(volume);
    const sessions = (await this.#place.readers.get(volume))?.sessions ?? [];
    state.set(session, { since: began });
    state.follow(sessions.map((each) => each.session));
    this.#save(state);
    const path = sessions.find((each) => each.session === session)?.path;
    const size = path === undefined ? Infinity : readSize(this.#place.disk, path);
    if (path !== undefined && size !== Infinity) await recountStats(this.#place.disk, path, size);
  }

  async #pathOf(volume: VolumeId, session: SessionName): Promise<string | undefined> {
    return (await this.#place.readers.get(volume))?.sessions.find((each) => each.session === session)?.path;
  }

  #rangesIn(state: ScrubState, session: SessionName, path: string): string[] {
    const { files, kind } = listFolder(this.#place.disk, path);
    if (kind !== undefined) state.damaged.add(formatStoredPath({ session, range: undefined, file: '' }));
    return files.filter((name) => RANGE_FOLDER_NAME.test(name)).sort();
  }

  async #folder(state: ScrubState, { volume, session, range }: Folder, path: string): Promise<void> {
    const { disk, readers } = this.#place;
    const folder = range === undefined ? path : join(path, range);
    const prefix = formatStoredPath({ session, range, file: '' });
    for (const text of [...state.damaged]) {
      if (text.startsWith(prefix) && !text.slice(prefix.length).includes('/')) state.damaged.delete(text);
    }
    const after = async (bytes: number) => {
      await this.#request.file(bytes);
      // At a low rate a folder takes long, and others must not wait, so there is no lock. Damage that is found
      // meanwhile is checked again at the end.
      await readers.get(volume);
    };
    for await (const finding of inspectFolder(disk, folder, range === undefined ? SESSION : RANGE, after)) {
      if (this.#repair(folder, finding)) this.#repaired += 1;
      else state.damaged.add(formatStoredPath({ session, range, file: finding.file }));
    }
  }

  #repair(folder: string, { file, sum }: Finding): boolean {
    if (file === SIZE) return this.#repairSize(folder);
    if (sum === undefined || !CHUNK_FILE_NAME.test(file)) return false;
    return this.#dedupStore?.repair(sum, join(folder, file)) ?? false;
  }

  /** The session's count also has the size, and the checksum shows whether it is the right one. */
  #repairSize(session: string): boolean {
    const size = readSize(this.#place.disk, session);
    return size !== Infinity && writeOwn(this.#place.disk, join(session, SIZE), describeSize(size));
  }

  async #result(volumes: readonly VolumeId[]): Promise<OfVolumes> {
    const damages: VolumeDamage[] = [];
    let since: number | undefined = this.#request.now;
    for (const volume of volumes) {
      await this.#ofVolume(volume, async () => {
        const { state, sessions } = await this.#look(volume);
        if (this.#request.renewChecksums === true) await this.#renew(volume, state, sessions);
        for (const { session } of sessions) since = least(since, state.get(session).since);
        damages.push(...knownDamages(this.#place.disk, volume, state, sessions));
        this.#save(state);
      });
    }
    if (this.#lost.size > 0) since = undefined;
    for (const volume of this.#lost.keys()) damages.push(unreadable(volume));
    return { damages: damages, repaired: this.#repaired, renewed: this.#renewed, since, remembered: this.#remembered };
  }

  /** Renews checksums in folders in which a file is known to have none. */
  async #renew(volume: VolumeId, state: ScrubState, sessions: readonly StoredSession[]): Promise<void> {
    const { disk } = this.#place;
    const folders = new Map<string, Content>();
    for (const known of [...state.damaged].flatMap((text) => parseStoredPath(text) ?? [])) {
      const holder = sessions.find(({ session }) => session === known.session);
      if (holder === undefined) continue;
      const folder = known.range === undefined ? holder.path : join(holder.path, known.range);
      const hasNone = known.file === CHECKSUMS || damageNow(disk, folder, known.file) === 'unlisted';
      if (hasNone && disk.kindOf(folder) === 'folder') folders.set(folder, known.range === undefined ? SESSION : RANGE);
    }
    if (folders.size === 0) return;
    // No other process may add a file there meanwhile.
    await withExclusiveLock(volumePlace(this.#place, volume), 'make checksums again of', () => {
      for (const [folder, content] of folders) {
        if (disk.kindOf(folder) === 'folder') this.#renewed += renewChecksums(disk, folder, content);
      }
    });
  }
}
