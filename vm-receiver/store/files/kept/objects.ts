/**
 * What opens an archive: its key slots, and the catalogue. Each version is kept before another one takes its place, so
 * whatever is put, and whenever the receiver is killed, the one before can be put back. All of this is done under the
 * archive's lock.
 *
 * Killed between the copy and the object, the object is still the older version: it is what counts, and is kept anew
 * ahead of the next change. A copy of what never came into place does no harm.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { MAX_CATALOGUE, MAX_SLOT, catalogueFault, slotFault } from '../../object-form.ts';
import { Refusal, attempt, isLoss } from '../../refusal.ts';
import type { Keeping } from '../../store.ts';
import { checksumOf } from '../layout/checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { expiredCatalogues, expiredSlots, lastOfDays } from './kept-expiry.ts';
import { Kept, type KeptObject } from './kept-files.ts';
import { ifPossible } from '../disk/own-file.ts';
import { CATALOGUE, KEYS } from '../layout/paths.ts';
import type { ArchivePlace } from '../layout/volume-place.ts';
import { readSmall } from '../disk/small-file.ts';

/** Kept slots of an archive. They go by time alone, so that nobody can push one out with others. */
export const MAX_KEPT_SLOTS = 1024;

/** Bytes of catalogues that are kept however little space there is. */
const LEAST_KEPT = 2 ** 20;

export const CATALOGUE_OBJECT: KeptObject = { kind: 'catalogues', name: CATALOGUE };

export function slotObject(name: string): KeptObject {
  return { kind: 'keys', name };
}

/** Where it lies in the archive. */
export function placeOf({ kind, name }: KeptObject): string {
  return kind === 'keys' ? `${KEYS}/${name}` : CATALOGUE;
}

/** Bytes that it has at most. */
export function maxOf({ kind }: KeptObject): number {
  return kind === 'keys' ? MAX_SLOT : MAX_CATALOGUE;
}

/** Why the bytes have not the form of it; undefined where they have. */
export function formFault({ form }: ArchivePlace, { kind }: KeptObject, data: Uint8Array): string | undefined {
  return kind === 'keys' ? slotFault(form.id, data) : catalogueFault(form, data);
}

/** Puts another version in its place; durable when it returns. `data` has the form of it. */
export function putObject(place: ArchivePlace, object: KeptObject, data: Uint8Array): void {
  const { disk } = place;
  const now = Date.now();
  const kept = prepare(place, now);
  if (object.kind === 'keys') mustHaveRoom(kept);
  const path = join(place.archive, placeOf(object));
  const there = read(disk, path, object);
  keepThere(place, kept, object, there, now);
  // A slot that replaces none is kept behind it: a copy alone would look like a slot that was lost.
  const isNew = object.kind === 'keys' && disk.kindOf(path) === undefined;
  if (isNew) disk.replace(path, data);
  keep(place, kept, object, data, now);
  if (!isNew) disk.replace(path, data);
  expire(kept, place.keeping, now);
}

/**
 * Whether a catalogue may take the place of the one that is there. A lost one, or one that cannot be read, counts as
 * one without bytes: dom0 has its own, and puts that again.
 * @param replaces SHA-512/256 of the one that is there
 * @throws Refusal `conflict`, or `io` where it cannot be read, and the one to replace could be
 */
export function mustReplace({ disk, archive }: ArchivePlace, replaces: Uint8Array, catalogue: Uint8Array): void {
  let there: Uint8Array | undefined;
  let fault: Refusal | undefined;
  try {
    there = attempt(`read ${CATALOGUE}`, () => readSmall(disk, join(archive, CATALOGUE), CATALOGUE, MAX_CATALOGUE));
  } catch (error) {
    if (!isLoss(error)) throw error;
    fault = error;
  }
  const bytes = there ?? new Uint8Array(0);
  // Put again even when it is the same: whoever put it may have been killed before it was durable.
  if (Buffer.compare(bytes, catalogue) === 0) return;
  if (createHash('sha512-256').update(bytes).digest().equals(replaces)) return;
  throw fault ?? new Refusal('conflict', 'the catalogue to replace is not the one that is there');
}

/** Removes a slot; durable when it returns. There may be none. */
export function removeSlot(place: ArchivePlace, name: string): void {
  const { disk, archive } = place;
  const object = slotObject(name);
  const path = join(archive, placeOf(object));
  const now = Date.now();
  const kept = prepare(place, now);
  keepThere(place, kept, object, read(disk, path, object), now);
  mustHaveRoom(kept);
  kept.keepRemoval(object, now);
  disk.remove(path);
  if (disk.kindOf(join(archive, KEYS)) === 'folder') disk.syncFolder(join(archive, KEYS));
}

/** What is kept, with what has had its time gone. */
function prepare(place: ArchivePlace, now: number): Kept {
  const kept = Kept.prepare(place.disk, place.archive);
  expire(kept, place.keeping, now);
  return kept;
}

function expire(kept: Kept, keeping: Keeping, now: number): void {
  const gone = [...expiredCatalogues(kept.all('catalogues'), keeping), ...expiredSlots(kept.all('keys'), keeping, now)];
  // The highest number stays, so that none is used twice.
  for (const each of gone) if (each.number !== kept.highest) kept.drop(each);
}

/**
 * Keeps what lies there, unless it is damaged or what was put last: it was put by an older receiver, or its successor
 * never came.
 */
function keepThere(
  place: ArchivePlace,
  kept: Kept,
  object: KeptObject,
  there: Uint8Array | undefined,
  now: number,
): void {
  if (there === undefined || formFault(place, object, there) !== undefined) return;
  if (kept.newest(object)?.sum !== checksumOf(there)) keep(place, kept, object, there, now);
}

/** The same of what is sound; and makes its copy where there was no room for one, and expires what has had its time. */
export function copyThere(place: ArchivePlace, kept: Kept, object: KeptObject, there: Uint8Array): void {
  const now = Date.now();
  const newest = kept.newest(object);
  const isCopied = newest?.sum === checksumOf(there) && kept.hasCopy(newest, there.length);
  if (!isCopied) keep(place, kept, object, there, now);
  expire(kept, place.keeping, now);
}

/**
 * Undefined for what is missing, too long or unreadable: it is as good as lost. Read twice, since a disk may fail once.
 */
function read(disk: Disk, path: string, object: KeptObject): Uint8Array | undefined {
  const look = () => ifPossible(() => readSmall(disk, path, placeOf(object), maxOf(object)));
  return look() ?? look();
}

function keep(place: ArchivePlace, kept: Kept, object: KeptObject, data: Uint8Array, now: number): void {
  if (object.kind === 'keys') {
    mustHaveRoom(kept);
    kept.keep(object, data, now);
  } else if (makeRoom(place, kept, data.length)) kept.keep(object, data, now);
  else kept.keepSum(object, data, now);
}

/** @throws Refusal `refused` */
function mustHaveRoom(kept: Kept): void {
  if (kept.all('keys').length < MAX_KEPT_SLOTS) return;
  throw new Refusal('refused', `${MAX_KEPT_SLOTS} key slots were put and removed lately, and all of them are kept`, {
    hint:
      'Remove some with "sparsebak-receiver kept remove" in the backup VM, or lower kept_days in the ' +
      'receiver’s configuration.',
  });
}

/**
 * Makes room for one more catalogue; gives whether there is. The oldest that is not the last of its day goes first, and
 * then the oldest. Where the disk is nearly full what is kept grows no more, and no day loses its last for it: who
 * fills a disk must not push out what was there before.
 */
function makeRoom({ disk, archive, floors, keeping }: ArchivePlace, kept: Kept, bytes: number): boolean {
  const all = kept.all('catalogues').map((file) => ({ file, size: kept.sizeOf(file) }));
  const total = sumOf(all);
  const isLow = disk.space(archive).freeBytes - 2 * bytes < floors.freeBytes;
  const most = isLow ? Math.min(keeping.bytes, Math.max(total, LEAST_KEPT)) : keeping.bytes;
  const lasts = lastOfDays(kept.all('catalogues'), keeping.days);
  const current = kept.newest(CATALOGUE_OBJECT);
  const mayGo = all.filter(({ file, size }) => file !== current && size > 0 && !(isLow && lasts.has(file)));
  if (total - sumOf(mayGo) + bytes > most) return false;
  const inTurn = [...mayGo.filter(({ file }) => !lasts.has(file)), ...mayGo.filter(({ file }) => lasts.has(file))];
  let over = total + bytes - most;
  for (const { file, size } of inTurn) {
    if (over <= 0) break;
    over -= size;
    kept.drop(file);
  }
  return true;
}

function sumOf(files: readonly { readonly size: number }[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
