/**
 * The folder `kept/`: every key slot and catalogue as it was put, until it expires. It serves as history, as checksums
 * without a key, and for repairing damage. Changing it requires the archive's exclusive lock.
 */
import { dirname, join } from 'node:path';
import { Refusal } from '../../refusal.ts';
import type { NewArchive } from '../../store.ts';
import { EMPTY_SUM, checksumOf } from '../layout/checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { inspectFile } from '../layout/inspect-folder.ts';
import { formatKept, isRemoval, parseKept, type KeptFile, type KeptKind } from './kept-name.ts';
import { ifPossible, listOwn, makeUsableFolder, removeOwn } from '../disk/own-file.ts';
import { CATALOGUE, KEPT } from '../layout/paths.ts';
import { readSmall, writeNew } from '../disk/small-file.ts';

/** The object of kept versions: a slot by its name, or the catalogue. */
export interface KeptObject {
  readonly kind: KeptKind;
  readonly name: string;
}

const KINDS: readonly KeptKind[] = ['keys', 'catalogues'];
/** Suffix of the file that a killed writer leaves. */
const DRAFT = '.new';

/** Keeps the objects with which an archive is created. Not durable by itself. */
export function keepFirst(
  disk: Disk,
  archive: string,
  { slots, catalogue }: Pick<NewArchive, 'slots' | 'catalogue'>,
): void {
  for (const folder of [KEPT, ...KINDS.map((kind) => `${KEPT}/${kind}`)]) disk.makeFolder(join(archive, folder));
  const objects = [
    { kind: 'catalogues', name: CATALOGUE, data: catalogue } as const,
    ...slots.map((slot) => ({ kind: 'keys', ...slot }) as const),
  ];
  const time = Date.now();
  for (const [index, { kind, name, data }] of objects.entries()) {
    const file = formatKept({ number: index + 1, time, sum: checksumOf(data), name });
    writeNew(disk, join(archive, KEPT, kind, file), data);
  }
}

export class Kept {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #files: Record<KeptKind, KeptFile[]>;

  private constructor(disk: Disk, archive: string) {
    this.#disk = disk;
    this.#archive = archive;
    this.#files = { keys: this.#list('keys'), catalogues: this.#list('catalogues') };
  }

  /**
   * Reads the folder. Throws the system's error if it cannot be listed: treating it as empty would give a number twice.
   */
  static read(disk: Disk, archive: string): Kept {
    return new Kept(disk, archive);
  }

  /** Makes the folders writable: whatever is in their place, or cannot be listed, is moved aside. */
  static prepare(disk: Disk, archive: string): Kept {
    for (const folder of [KEPT, ...KINDS.map((kind) => `${KEPT}/${kind}`)]) {
      const path = join(archive, folder);
      makeUsableFolder(disk, path);
      // An empty one may be new, or left by a receiver that was killed before it was durable.
      if (disk.list(path).length === 0) disk.syncFolder(dirname(path));
    }
    const kept = new Kept(disk, archive);
    for (const kind of KINDS) {
      const folder = kept.#folder(kind);
      for (const name of listOwn(disk, folder)) if (name.endsWith(DRAFT)) removeOwn(disk, join(folder, name));
    }
    return kept;
  }

  #folder(kind: KeptKind): string {
    return join(this.#archive, KEPT, kind);
  }

  #list(kind: KeptKind): KeptFile[] {
    const folder = this.#folder(kind);
    if (this.#disk.kindOf(folder) !== 'folder') return [];
    const files = this.#disk.list(folder).flatMap((name) => parseKept(kind, name) ?? []);
    return files.sort((a, b) => a.number - b.number);
  }

  /** Oldest first. */
  all(kind: KeptKind): readonly KeptFile[] {
    return this.#files[kind];
  }

  /** Oldest first. */
  of({ kind, name }: KeptObject): readonly KeptFile[] {
    return this.#files[kind].filter((each) => each.name === name);
  }

  newest(object: KeptObject): KeptFile | undefined {
    return this.of(object).at(-1);
  }

  /** The last number given, 0 before the first. */
  get highest(): number {
    return KINDS.reduce((most, kind) => Math.max(most, this.#files[kind].at(-1)?.number ?? 0), 0);
  }

  /** The path in the archive, for messages. */
  placeOf({ kind, file }: KeptFile): string {
    return `${KEPT}/${kind}/${file}`;
  }

  #pathOf(file: KeptFile): string {
    return join(this.#archive, this.placeOf(file));
  }

  /** Bytes of a copy; 0 if there is none. */
  sizeOf(file: KeptFile): number {
    return ifPossible(() => this.#disk.entryAt(this.#pathOf(file)))?.size ?? 0;
  }

  /** Whether a copy has the bytes that were put, and how many were read. A version without a copy is not damaged. */
  inspect(file: KeptFile, max: number): ReturnType<typeof inspectFile> {
    if (this.sizeOf(file) === 0) return { kind: undefined, bytes: undefined };
    return inspectFile(this.#disk, this.#pathOf(file), file.sum, max);
  }

  /** Whether there is an intact copy. */
  hasCopy(file: KeptFile, max: number): boolean {
    return this.sizeOf(file) > 0 && this.inspect(file, max).kind === undefined;
  }

  /** The bytes that were put. @throws Refusal `io` if there is no copy, or a damaged one */
  dataOf(file: KeptFile, max: number): Uint8Array {
    const place = this.placeOf(file);
    const data = readSmall(this.#disk, this.#pathOf(file), place, max);
    if (data === undefined || data.length === 0) throw new Refusal('io', `${place} has no copy of its object`);
    if (checksumOf(data) !== file.sum) throw new Refusal('io', `${place} is damaged`);
    return data;
  }

  /** Keeps a version; durable when it returns. If the same was put last, a damaged copy of it is replaced. */
  keep(object: KeptObject, data: Uint8Array, now: number): void {
    const sum = checksumOf(data);
    const last = this.newest(object);
    if (last?.sum !== sum) this.#write(this.#next(object, sum, now), data);
    else if (!this.hasCopy(last, data.length)) this.#write(last, data);
  }

  /** Records a version without a copy of it. Durable when it returns. */
  keepSum(object: KeptObject, data: Uint8Array, now: number): void {
    const sum = checksumOf(data);
    if (this.newest(object)?.sum !== sum) this.#write(this.#next(object, sum, now), '');
  }

  /** Records that the slot was removed. Durable when it returns. */
  keepRemoval(object: KeptObject, now: number): void {
    const last = this.newest(object);
    if (last !== undefined && !isRemoval(last)) this.#write(this.#next(object, EMPTY_SUM, now), '');
  }

  #next({ kind, name }: KeptObject, sum: string, time: number): KeptFile {
    const named = { number: this.highest + 1, time, sum, name };
    const file = { ...named, kind, file: formatKept(named) };
    this.#files[kind].push(file);
    return file;
  }

  #write(file: KeptFile, data: Uint8Array | string): void {
    this.#disk.replace(this.#pathOf(file), data);
  }

  /** Not durable by itself. */
  drop(file: KeptFile): void {
    removeOwn(this.#disk, this.#pathOf(file));
    this.#files[file.kind] = this.#files[file.kind].filter((each) => each !== file);
  }
}
