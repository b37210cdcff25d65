/**
 * Deduplication: a folder of hard links to stored chunks, each named by the SHA-256 of its content. A name is only a
 * hint where an equal chunk may be found: files are linked only after their bytes were compared. Files are durable
 * before they enter the deduplication store; removing one never matters, since a chunk needs only its own name.
 */
import { dirname, join } from 'node:path';
import { systemCode } from '../../../../shared/errors.ts';
import { checksumOf } from '../layout/checksums.ts';
import { areEqual, equalsBytes, sumOfFile } from '../layout/compare-files.ts';
import type { Disk, Entry } from '../disk/disk.ts';
import { MAX_STORED_CHUNK } from '../layout/max-lengths.ts';
import { ifPossible, listOwn, makeOwnFolder, ownKind, readOwn, removeOwn } from '../disk/own-file.ts';
import { LINK, DEDUP_STORE } from '../layout/paths.ts';
import { damageKindOf } from '../disk/read-error.ts';

/** The result for a chunk. */
export type Linked =
  | { readonly kind: 'shared' } // it already is the store's file
  | { readonly kind: 'added' } // there was no equal one
  | { readonly kind: 'linked'; readonly bytes: number } // it is linked now, which saves `bytes`
  | { readonly kind: 'copy' } // there are as many links as the file system allows, or it has none
  | { readonly kind: 'repaired' } // the store's was intact, this one was not
  | { readonly kind: 'replaced' } // this one is intact, the store's was not
  | { readonly kind: 'skipped' }; // neither is intact, or there is nothing to link

export class DedupStore {
  readonly #disk: Disk;
  readonly #path: string;

  private constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Undefined if there is none, unless `make` is set and it can be made. */
  static open(disk: Disk, archive: string, make: boolean): DedupStore | undefined {
    const path = join(archive, DEDUP_STORE);
    const isThere = make ? makeOwnFolder(disk, path) : ownKind(disk, path) === 'folder';
    return isThere ? new DedupStore(disk, path) : undefined;
  }

  /** Makes a new chunk by linking an existing one; returns whether there was one with these bytes. */
  take(sum: string, bytes: Uint8Array, path: string): boolean {
    const from = this.#at(sum);
    if (entryOf(this.#disk, from)?.size !== bytes.length) return false;
    if (!equalsBytes(this.#disk, from, bytes)) return false;
    try {
      this.#disk.link(from, path);
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw error;
      return linkFailed(error, false);
    }
  }

  /** Shares a durable chunk with all equal ones. Its content stays the same, or is repaired. */
  share(sum: string, path: string): Linked {
    const own = entryOf(this.#disk, path);
    if (own?.kind !== 'file' || own.size === 0) return { kind: 'skipped' };
    const isShared = own.links > 1;
    const at = this.#at(sum);
    const there = entryOf(this.#disk, at);
    if (there === undefined) return this.#add(path, at);
    if (isSame(own, there)) return { kind: 'shared' };
    if (areEqual(this.#disk, path, at)) {
      // Many share it, and there was no room for another link: moving them all over would save one copy at most.
      if (isShared) return { kind: 'shared' };
      if (this.#replaceBy(at, path)) return { kind: 'linked', bytes: own.size };
      // The store's file has the maximum of names: from here on this one replaces it.
      this.#replaceBy(path, at);
      return { kind: 'copy' };
    }
    if (sumOfFile(this.#disk, path) === sum) return this.#replaceBy(path, at) ? { kind: 'replaced' } : { kind: 'copy' };
    return { kind: this.repair(sum, path) ? 'repaired' : 'skipped' };
  }

  #add(path: string, at: string): Linked {
    if (!makeOwnFolder(this.#disk, dirname(at))) return { kind: 'copy' };
    try {
      this.#disk.link(path, at);
      return { kind: 'added' };
    } catch (error) {
      return linkFailed(error, { kind: 'copy' });
    }
  }

  /** Replaces `to` by another name of `from`. */
  #replaceBy(from: string, to: string): boolean {
    const temporary = to + LINK;
    try {
      this.#disk.remove(temporary);
      this.#disk.link(from, temporary);
      this.#disk.rename(temporary, to);
      return true;
    } catch (error) {
      removeOwn(this.#disk, temporary);
      return linkFailed(error, false);
    }
  }

  /** Whether a chunk with this content is the store's file. */
  has(sum: string, chunk: Entry): boolean {
    const there = entryOf(this.#disk, this.#at(sum));
    return there !== undefined && isSame(chunk, there);
  }

  /** Replaces a damaged or missing chunk by one with this content; returns whether there was an intact one. */
  repair(sum: string, path: string): boolean {
    const at = this.#at(sum);
    if (sumOfFile(this.#disk, at) !== sum) return false;
    return this.#replaceBy(at, path) || this.#copyTo(at, sum, path);
  }

  /** The store's file has the maximum of names: makes a copy of it, which replaces it from here on. */
  #copyTo(at: string, sum: string, path: string): boolean {
    const bytes = readOwn(this.#disk, at, MAX_STORED_CHUNK);
    if (bytes === undefined || checksumOf(bytes) !== sum) return false;
    const written = ifPossible(() => {
      this.#disk.replace(path, bytes);
      return true;
    });
    if (written !== true) return false;
    this.#replaceBy(path, at);
    return true;
  }

  /**
   * To be called when a chunk with this content was removed: removes its name here with the last one. Returns whether
   * it did.
   */
  release(sum: string): boolean {
    const at = this.#at(sum);
    const entry = entryOf(this.#disk, at);
    if (entry?.kind !== 'file' || entry.links !== 1) return false;
    removeOwn(this.#disk, at);
    return true;
  }

  /** Names and paths of all files here, folder by folder. */
  *entries(): Generator<readonly string[], void, undefined> {
    for (const folder of listOwn(this.#disk, this.#path)) {
      const path = join(this.#path, folder);
      if (ownKind(this.#disk, path) === 'folder') yield listOwn(this.#disk, path).map((name) => join(path, name));
    }
  }

  #at(sum: string): string {
    return join(this.#path, sum.slice(0, 2), sum);
  }
}

function isSame(a: Entry, b: Entry): boolean {
  return a.inode === b.inode && a.device === b.device;
}

function entryOf(disk: Disk, path: string): Entry | undefined {
  return ifPossible(() => disk.entryAt(path));
}

/** A failed link only means a copy: it is never an error of the stored content. */
function linkFailed<T>(error: unknown, otherwise: T): T {
  damageKindOf(error);
  return otherwise;
}
