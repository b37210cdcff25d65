/**
 * Key slots and the catalogue. Each version is kept before another one replaces it, so whatever is put, and whenever
 * the receiver is killed, the previous one can be put back. All of this is done under the archive's lock.
 *
 * If the receiver is killed between writing the copy and the object, the object is still the older version, which
 * counts and is kept again before the next change. A copy of an object that never got into place is harmless.
 */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
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

/** The most kept slots of an archive. They expire only by time, so that new ones cannot displace old ones. */
export const MAX_KEPT_SLOTS = 1024;

/** Bytes of catalogues that are kept even if space is low. */
const LEAST_KEPT = 2 ** 20;

export const CATALOGUE_OBJECT: KeptObject = { kind: 'catalogues', name: CATALOGUE };

export function slotObject(name: string): KeptObject {
  return { kind: 'keys', name };
}

/** Its path in the archive. */
export function placeOf({ kind, name }: KeptObject): string {
  return kind === 'keys' ? `${KEYS}/${name}` : CATALOGUE;
}

/** Its largest size in bytes. */
export function maxOf({ kind }: KeptObject): number {
  return kind === 'keys' ? MAX_SLOT : MAX_CATALOGUE;
}

/** Why the bytes are malformed; undefined if they are well-formed. */
export function formFault({ form }: ArchivePlace, { kind }: KeptObject, data: Uint8Array): string | undefined {
  return kind === 'keys' ? slotFault(form.id, data) : catalogueFault(form, data);
}

/** Puts another version in its place; durable when it returns. `data` must be well-formed. */
export function putObject(place: ArchivePlace, object: KeptObject, data: Uint8Array): void {
  const { disk } = place;
  const now = Date.now();
  const kept = prepare(place, now);
  if (object.kind === 'keys') mustHaveRoom(kept);
  const path = join(place.archive, placeOf(object));
  const there = read(disk, path, object);
  keepThere(place, kept, object, there, now);
  // A new slot is kept after it is in place: a copy alone would look like a lost slot.
  const isNew = object.kind === 'keys' && disk.kindOf(path) === undefined;
  if (isNew) disk.replace(path, data);
  keep(place, kept, object, data, now);
  if (!isNew) disk.replace(path, data);
  expire(kept, place.keeping, now);
}

/**
 * Checks that a catalogue may replace the current one. A lost or unreadable one counts as empty: dom0 has its own, and
 * puts that again.
 * @param replaces SHA-512/256 of the current one
 * @throws Refusal `conflict`, or `io` if it cannot be read while the one to replace is not empty
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
  // Put again even if it is the same: an earlier put may have been killed before it was durable.
  if (Buffer.compare(bytes, catalogue) === 0) return;
  if (createHash('sha512-256').update(bytes).digest().equals(replaces)) return;
  throw fault ?? new Refusal('conflict', 'the catalogue to replace is not the current one');
}

/** Removes a slot; durable when it returns. The slot need not exist. */
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

/** The kept versions, after removing expired ones. */
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
 * Keeps the current object, unless it is damaged or already kept last: an older receiver put it, or its successor never
 * got into place.
 */
function keepThere(
  place: ArchivePlace,
  kept: Kept,
  object: KeptObject,
  there: Uint8Array | undefined,
  now: number,
): void {
  if (there === undefined || formFault(place, object, there) !== undefined) return;
  if (kept.newest(object)?.sum !== checksumOf(there)) keepDurable(place, kept, object, there, now);
}

/**
 * A receiver that was killed may have left the object visible and not durable. A power cut could then take it and leave
 * its copy, which looks like a lost slot: so it is made durable first.
 */
function keepDurable(place: ArchivePlace, kept: Kept, object: KeptObject, there: Uint8Array, now: number): void {
  place.disk.syncFolder(dirname(join(place.archive, placeOf(object))));
  keep(place, kept, object, there, now);
}

/** The same for an intact object; also makes its missing copy, and removes expired versions. */
export function copyThere(place: ArchivePlace, kept: Kept, object: KeptObject, there: Uint8Array): void {
  const now = Date.now();
  const newest = kept.newest(object);
  const isCopied = newest?.sum === checksumOf(there) && kept.hasCopy(newest, there.length);
  if (!isCopied) keepDurable(place, kept, object, there, now);
  expire(kept, place.keeping, now);
}

/** Undefined if it is missing, too long or unreadable, which counts as lost. Read twice, since a disk may fail once. */
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
 * Makes room for one more catalogue; returns whether there is. First the oldest that is not the last of its day is
 * removed, then the oldest. If the disk is nearly full, the kept files grow no further, and no day loses its last one:
 * an agent that fills the disk must not displace older catalogues.
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
