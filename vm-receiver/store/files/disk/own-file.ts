/**
 * The receiver's own files: counts, checksums, scrub state, the deduplication store. None of these is content, so a
 * damaged one (a folder, a FIFO, a link, an endless or unreadable file) stops no command: a reader continues without
 * it, and a writer replaces it.
 */
import type { Disk, Kind } from './disk.ts';
import { damageKindOf } from './read-error.ts';
import { asideName } from './replace-file.ts';
import { readSmall } from './small-file.ts';

/** A complete plain file of at most `max` bytes; undefined for anything else, and if it cannot be read. */
export function readOwn(disk: Disk, path: string, max: number): Uint8Array | undefined {
  return ifPossible(() => {
    // Opening a device may have side effects.
    if (disk.kindOf(path) !== 'file') return undefined;
    return readSmall(disk, path, path, max);
  });
}

/** The kind of the object, links not followed; undefined if there is none, or it cannot be examined. */
export function ownKind(disk: Disk, path: string): Kind | undefined {
  return ifPossible(() => disk.kindOf(path));
}

/** The names in a folder; empty if it cannot be read. */
export function listOwn(disk: Disk, path: string): string[] {
  return ifPossible(() => disk.list(path)) ?? [];
}

/** Replaces the file, durable when it returns; returns whether that succeeded. An outdated one never stays. */
export function writeOwn(disk: Disk, path: string, content: Uint8Array | string): boolean {
  const written = ifPossible(() => {
    disk.replace(path, content);
    return true;
  });
  if (written === undefined) removeOwn(disk, path);
  return written ?? false;
}

/** Not durable by itself. */
export function removeOwn(disk: Disk, path: string): void {
  ifPossible(() => {
    disk.remove(path);
  });
}

/** Creates the folder if necessary, and moves aside what is in its place; returns whether it exists now. */
export function makeOwnFolder(disk: Disk, path: string): boolean {
  ifPossible(() => {
    const kind = disk.kindOf(path);
    if (kind === 'folder') return;
    if (kind !== undefined) putAside(disk, path);
    disk.makeFolder(path);
  });
  // Another process may have been faster.
  return ownKind(disk, path) === 'folder';
}

/**
 * Creates the folder if there is none that can be listed: whatever is in its place is moved aside. Throws the system's
 * error if there is none afterwards.
 */
export function makeUsableFolder(disk: Disk, path: string): void {
  const isUsable = () => makeOwnFolder(disk, path) && ifPossible(() => disk.list(path)) !== undefined;
  // Tried twice, since a disk may fail once.
  if (isUsable() || isUsable()) return;
  ifPossible(() => {
    putAside(disk, path);
  });
  if (disk.kindOf(path) === undefined) disk.makeFolder(path);
  disk.list(path);
}

/** Renames a file to one of the receiver's own, whatever is in its place. */
export function renameToOwn(disk: Disk, from: string, own: string): void {
  if (disk.kindOf(own) === 'folder') putAside(disk, own);
  disk.rename(from, own);
}

function putAside(disk: Disk, path: string): void {
  disk.rename(path, asideName(path));
}

/** Undefined if the disk does not allow it. Lack of memory or handles still throws. */
export function ifPossible<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    damageKindOf(error);
    return undefined;
  }
}
