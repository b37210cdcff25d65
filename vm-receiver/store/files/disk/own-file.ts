/**
 * What the receiver writes for itself: counts, checksums, what scrubbing remembers, the deduplication store. None of it
 * is content, so whatever it has become (a folder, a FIFO, a link, an endless file, unreadable) stops no command: a
 * reader does without, and a writer puts a new one in its place.
 */
import type { Disk, Kind } from './disk.ts';
import { damageKindOf } from './read-error.ts';
import { asideName } from './replace-file.ts';
import { readSmall } from './small-file.ts';

/** The whole of a plain file of at most `max` bytes; undefined for anything else, and where it cannot be read. */
export function readOwn(disk: Disk, path: string, max: number): Uint8Array | undefined {
  return ifPossible(() => {
    // To open a device may do something.
    if (disk.kindOf(path) !== 'file') return undefined;
    return readSmall(disk, path, path, max);
  });
}

/** What lies there, links not followed; undefined where nothing does, or it cannot be looked at. */
export function ownKind(disk: Disk, path: string): Kind | undefined {
  return ifPossible(() => disk.kindOf(path));
}

/** The names in a folder; none where it cannot be read. */
export function listOwn(disk: Disk, path: string): string[] {
  return ifPossible(() => disk.list(path)) ?? [];
}

/**
 * Replaces the file, durable when it returns; gives whether that could be done. One that is out of date never stays.
 */
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

/** Makes the folder where there is none, and puts aside what is in its place; gives whether it is there now. */
export function makeOwnFolder(disk: Disk, path: string): boolean {
  ifPossible(() => {
    const kind = disk.kindOf(path);
    if (kind === 'folder') return;
    if (kind !== undefined) putAside(disk, path);
    disk.makeFolder(path);
  });
  // Another process may have been ahead of us.
  return ownKind(disk, path) === 'folder';
}

/**
 * Makes the folder where there is none that can be listed: whatever is in its place is put aside. Throws the system's
 * error where there is none afterwards.
 */
export function makeUsableFolder(disk: Disk, path: string): void {
  const isUsable = () => makeOwnFolder(disk, path) && ifPossible(() => disk.list(path)) !== undefined;
  // Asked twice, since a disk may fail once.
  if (isUsable() || isUsable()) return;
  ifPossible(() => {
    putAside(disk, path);
  });
  if (disk.kindOf(path) === undefined) disk.makeFolder(path);
  disk.list(path);
}

/** Puts a file in the place of one of the receiver's own, whatever is there. */
export function renameToOwn(disk: Disk, from: string, own: string): void {
  if (disk.kindOf(own) === 'folder') putAside(disk, own);
  disk.rename(from, own);
}

function putAside(disk: Disk, path: string): void {
  disk.rename(path, asideName(path));
}

/** Undefined where the disk does not let it be done. That we are out of memory or handles is thrown, as ever. */
export function ifPossible<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    damageKindOf(error);
    return undefined;
  }
}
