/**
 * The layout `files` (docs/format.md, section 2): a folder per archive below one root.
 */
import { join, resolve } from 'node:path';
import { isArchiveName, isId, type ArchiveName } from '../../../shared/archive/names.ts';
import { systemCode } from '../../../shared/errors.ts';
import { MAX_CATALOGUE, mustBeCatalogue, mustBeSlot } from '../object-form.ts';
import { KEEPING } from '../default-keeping.ts';
import { Refusal, attempt, attemptAsync } from '../refusal.ts';
import type { ArchiveStore, Keeping, NewArchive, Patience, Rules, Store } from '../store.ts';
import { FilesArchive } from './archive.ts';
import { describeArchive, readDescription } from './layout/description.ts';
import type { Disk } from './disk/disk.ts';
import { keepFirst } from './kept/kept-files.ts';
import { FolderLock } from './disk/folder-lock.ts';
import { AT_ONCE, type LockTiming } from './layout/archive-locks.ts';
import { ownKind } from './disk/own-file.ts';
import { CATALOGUE, DESCRIPTION, KEYS, VOLUMES } from './layout/paths.ts';
import { readSmall, writeNew } from './disk/small-file.ts';
import { SpaceWatch, type Floors } from './disk/free-space.ts';

export interface FilesStoreOptions {
  readonly root: string;
  /** Whether the root must be a mount point: otherwise, without the backup disk, the disk below it would be filled. */
  readonly requireMount: boolean;
  readonly floors: Floors;
  /** Default: one session is kept and volumes may be deleted. */
  readonly rules?: Rules;
  /** Default: KEEPING. */
  readonly keeping?: Keeping;
  /** Default: locks are released at once. */
  readonly locking?: LockTiming;
}

const RULES: Rules = { minKeep: 1, allowDelete: true };

/** Errors of rename(2) if the name is taken. */
const TAKEN = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

const DRAFT = '.tmp-';

function taken({ name }: NewArchive, cause?: unknown): Refusal {
  return new Refusal('exists', `${name} already exists, and is not an archive`, {
    cause,
    hint: 'Choose another name, or move it away.',
  });
}

export class FilesStore implements Store {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #options: FilesStoreOptions;

  constructor(disk: Disk, options: FilesStoreOptions) {
    this.#disk = disk;
    this.#root = resolve(options.root);
    this.#options = options;
  }

  async create(archive: NewArchive, patience: Patience): Promise<void> {
    this.#mustBeThere();
    for (const slot of archive.slots) mustBeSlot(archive, slot);
    mustBeCatalogue(archive, archive.catalogue);
    await attemptAsync(`create archive ${archive.name}`, async () => {
      const target = join(this.#root, archive.name);
      const kind = this.#disk.kindOf(target);
      if (kind !== undefined && kind !== 'folder') throw taken(archive);
      if (this.#disk.kindOf(join(target, DESCRIPTION)) !== undefined) {
        this.#mustBeSame(archive, target);
        // The process that made it may have been killed before that was durable.
        this.#disk.syncFolder(this.#root);
        return;
      }
      await this.#removeDrafts(patience);
      new SpaceWatch(this.#disk, this.#root, this.#options.floors).look();
      const draft = join(this.#root, DRAFT + archive.id);
      this.#disk.makeFolder(draft);
      const lock = await FolderLock.take(this.#disk, draft, 'alone', `archive ${archive.name}`, patience);
      try {
        this.#fill(archive, draft);
        await this.#disk.syncFileSystem(draft);
        this.#disk.rename(draft, target);
        this.#disk.syncFolder(this.#root);
      } catch (error) {
        if (this.#disk.kindOf(draft) !== undefined) await this.#disk.removeTree(draft);
        if (!TAKEN.has(systemCode(error) ?? '')) throw error;
        throw taken(archive, error);
      } finally {
        lock.release();
      }
    });
  }

  /** @throws Refusal `exists` */
  #mustBeSame(archive: NewArchive, target: string): void {
    const expected: (readonly [string, Uint8Array])[] = [
      [DESCRIPTION, Buffer.from(describeArchive(archive))],
      [CATALOGUE, archive.catalogue],
      ...archive.slots.map(({ name, data }) => [`${KEYS}/${name}`, data] as const),
    ];
    for (const [file, bytes] of expected) {
      const there = readSmall(this.#disk, join(target, file), file, MAX_CATALOGUE);
      if (there === undefined || Buffer.compare(there, bytes) !== 0) {
        throw new Refusal('exists', `there is already an archive ${archive.name}`, {
          hint: 'Choose another name, or use the existing archive.',
        });
      }
    }
  }

  #fill(archive: NewArchive, draft: string): void {
    this.#disk.makeFolder(join(draft, KEYS));
    this.#disk.makeFolder(join(draft, VOLUMES));
    writeNew(this.#disk, join(draft, DESCRIPTION), Buffer.from(describeArchive(archive)));
    writeNew(this.#disk, join(draft, CATALOGUE), archive.catalogue);
    for (const { name, data } of archive.slots) writeNew(this.#disk, join(draft, KEYS, name), data);
    keepFirst(this.#disk, draft, archive);
  }

  /** Removes incomplete archives of killed processes. */
  async #removeDrafts(patience: Patience): Promise<void> {
    for (const name of this.#disk.list(this.#root)) {
      if (!name.startsWith(DRAFT) || !isId(name.slice(DRAFT.length))) continue;
      const path = join(this.#root, name);
      if (this.#disk.kindOf(path) !== 'folder') continue;
      const lock = await FolderLock.take(this.#disk, path, 'alone', 'an archive being made', patience);
      try {
        if (lock.isAt(path)) await this.#disk.removeTree(path);
      } finally {
        lock.release();
      }
    }
  }

  async open(name: ArchiveName, patience: Patience): Promise<ArchiveStore> {
    this.#mustBeThere();
    const path = join(this.#root, name);
    const description = attempt(`open archive ${name}`, () => {
      if (this.#disk.kindOf(path) !== 'folder') throw new Refusal('not-found', `there is no archive ${name}`);
      return readDescription(this.#disk, path, name);
    });
    const { floors, rules = RULES, keeping = KEEPING, locking = AT_ONCE } = this.#options;
    return new FilesArchive(this.#disk, path, description, { floors, rules, keeping, patience, locking });
  }

  archives(): ArchiveName[] {
    this.#mustBeThere();
    return attempt('list the archives', () => this.#disk.list(this.#root))
      .filter(isArchiveName)
      .filter((name) => ownKind(this.#disk, join(this.#root, name, DESCRIPTION)) === 'file')
      .sort();
  }

  #mustBeThere(): void {
    const root = attempt('look at the backup folder', () => this.#disk.entryAt(`${this.#root}/.`));
    if (root?.kind !== 'folder') {
      throw new Refusal('not-mounted', 'the backup folder is not there', {
        hint: 'Mount the backup disk, or correct root in the receiver’s configuration.',
      });
    }
    if (!this.#options.requireMount) return;
    const parent = attempt('look at the backup folder', () => this.#disk.entryAt(`${this.#root}/..`));
    if (root.device === parent?.device) {
      throw new Refusal('not-mounted', 'the backup disk is not mounted', {
        hint: 'Mount it, or set require_mount = false if the root is meant to be on this file system.',
      });
    }
  }
}
