/**
 * The folder `kept/`: every key slot and catalogue as it was put, until it has had its time. It is history, checksums
 * without a key, and what damage is repaired from. Whoever changes it holds the archive's lock alone.
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

/** What is kept versions of: a slot by its name, and the catalogue. */
export interface KeptObject {
  readonly kind: KeptKind;
  readonly name: string;
}

const KINDS: readonly KeptKind[] = ['keys', 'catalogues'];
/** What a writer that was killed leaves. */
const DRAFT = '.new';

/** Keeps what an archive is made with. Not durable by itself. */
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
   * As it is. Throws the system's error where a folder cannot be listed: to take it for empty would give a number
   * twice.
   */
  static read(disk: Disk, archive: string): Kept {
    return new Kept(disk, archive);
  }

  /** With folders that can be written to: what is in their place, or cannot be listed, is put aside. */
  static prepare(disk: Disk, archive: string): Kept {
    for (const folder of [KEPT, ...KINDS.map((kind) => `${KEPT}/${kind}`)]) {
      const path = join(archive, folder);
      makeUsableFolder(disk, path);
      // An empty one may be new, or of a receiver that was killed before it was durable.
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

  /** The number that was given last, 0 before the first. */
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

  /** Bytes of a copy; 0 where there is none. */
  sizeOf(file: KeptFile): number {
    return ifPossible(() => this.#disk.entryAt(this.#pathOf(file)))?.size ?? 0;
  }

  /**
   * Whether a copy has the bytes that were put, and the bytes that were read of it. Of what has only its name nothing
   * is wrong.
   */
  inspect(file: KeptFile, max: number): ReturnType<typeof inspectFile> {
    if (this.sizeOf(file) === 0) return { kind: undefined, bytes: undefined };
    return inspectFile(this.#disk, this.#pathOf(file), file.sum, max);
  }

  /** Whether there is a copy, and it is sound. */
  hasCopy(file: KeptFile, max: number): boolean {
    return this.sizeOf(file) > 0 && this.inspect(file, max).kind === undefined;
  }

  /** What was put. @throws Refusal `io` where it has no copy, or a damaged one */
  dataOf(file: KeptFile, max: number): Uint8Array {
    const place = this.placeOf(file);
    const data = readSmall(this.#disk, this.#pathOf(file), place, max);
    if (data === undefined || data.length === 0) throw new Refusal('io', `${place} has no copy of what was put`);
    if (checksumOf(data) !== file.sum) throw new Refusal('io', `${place} is damaged`);
    return data;
  }

  /** Durable when it returns. Where that was put last, its copy is made again if it is damaged. */
  keep(object: KeptObject, data: Uint8Array, now: number): void {
    const sum = checksumOf(data);
    const last = this.newest(object);
    if (last?.sum !== sum) this.#write(this.#next(object, sum, now), data);
    else if (!this.hasCopy(last, data.length)) this.#write(last, data);
  }

  /** Notes what was put without a copy of it. Durable when it returns. */
  keepSum(object: KeptObject, data: Uint8Array, now: number): void {
    const sum = checksumOf(data);
    if (this.newest(object)?.sum !== sum) this.#write(this.#next(object, sum, now), '');
  }

  /** Notes that the slot is removed. Durable when it returns. */
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
