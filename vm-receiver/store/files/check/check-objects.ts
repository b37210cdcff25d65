/**
 * Checks whether the catalogue and key slots are those that were put, by the checksums in the names of the kept copies;
 * and whether these copies are intact. Only certain damage is repaired without asking: if a later catalogue from an
 * older receiver was taken for damage and replaced by an earlier one, dom0 would see a rollback.
 */
import { join } from 'node:path';
import { isSlotName } from '../../../../shared/archive/names.ts';
import type { ArchiveDamage, DamageKind } from '../../store.ts';
import { checksumOf } from '../layout/checksums.ts';
import { isRemoval, type KeptFile } from '../kept/kept-name.ts';
import { Kept, type KeptObject } from '../kept/kept-files.ts';
import { CATALOGUE_OBJECT, copyThere, formFault, maxOf, placeOf, slotObject } from '../kept/objects.ts';
import { ifPossible } from '../disk/own-file.ts';
import { KEPT, KEYS } from '../layout/paths.ts';
import type { ArchivePlace } from '../layout/volume-place.ts';
import { damageKindOf } from '../disk/read-error.ts';
import { readSmall } from '../disk/small-file.ts';

interface Found {
  readonly damage: Omit<ArchiveDamage, 'repaired'>;
  /** Repairs it, if that is safe; returns what was done. */
  readonly repair: (() => string) | undefined;
}

interface Sound {
  readonly object: KeptObject;
  readonly data: Uint8Array;
}

/** Checks without changing anything. `after` is called for each file that was read. */
export function checkObjects(place: ArchivePlace, after: (bytes: number) => void): ArchiveDamage[] {
  return new Examination(place, after).found.map(({ damage: damage }) => ({ ...damage, repaired: false }));
}

/**
 * Under the archive's lock: replaces what is certainly damaged, and makes missing copies. If the disk does not allow
 * that (it is full, or read-only), the damage is reported as by `checkObjects`.
 */
export function repairObjects(place: ArchivePlace): ArchiveDamage[] {
  const kept = ifPossible(() => Kept.prepare(place.disk, place.archive));
  const { found, sound } = new Examination(place, () => undefined, kept);
  const damages = found.map(({ damage: damage, repair }) => {
    const done = repair === undefined ? undefined : ifPossible(repair);
    return done === undefined ? { ...damage, repaired: false } : { ...damage, remedy: done, repaired: true };
  });
  if (kept === undefined) return damages;
  for (const { object, data } of sound) {
    ifPossible(() => {
      copyThere(place, kept, object, data);
    });
  }
  return damages;
}

class Examination {
  readonly found: Found[] = [];
  /** Objects that are, or may be, what was put. */
  readonly sound: Sound[] = [];
  readonly #place: ArchivePlace;
  readonly #after: (bytes: number) => void;
  readonly #kept: Kept | undefined;

  constructor(place: ArchivePlace, after: (bytes: number) => void, kept?: Kept) {
    this.#place = place;
    this.#after = after;
    const { disk, archive } = place;
    this.#kept = kept ?? this.#unlessUnreadable(KEPT, NEXT_PUT, () => Kept.read(disk, archive));
    this.#object(CATALOGUE_OBJECT);
    for (const name of this.#slotNames()) this.#object(slotObject(name));
    for (const kind of ['catalogues', 'keys'] as const)
      for (const file of this.#kept?.all(kind) ?? []) this.#copy(file);
  }

  #add(place: string, kind: DamageKind, remedy: string, repair?: () => string): void {
    this.found.push({ damage: { place, kind, remedy }, repair });
  }

  #unlessUnreadable<T>(place: string, remedy: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#add(place, damageKindOf(error), remedy);
      return undefined;
    }
  }

  /** Slots that exist, and slots that were put and not removed. */
  #slotNames(): string[] {
    const { disk, archive } = this.#place;
    const put = (this.#kept?.all('keys') ?? []).map(({ name }) => name);
    const isLost = put.length > 0 && disk.kindOf(join(archive, KEYS)) === undefined;
    const there = isLost ? [] : this.#unlessUnreadable(KEYS, KEY_ADD, () => disk.list(join(archive, KEYS)));
    return [...new Set([...(there ?? []).filter(isSlotName), ...put])].sort();
  }

  #object(object: KeptObject): void {
    const { disk, archive } = this.#place;
    const place = placeOf(object);
    const newest = this.#kept?.newest(object);
    let data: Uint8Array | undefined;
    try {
      data = readSmall(disk, join(archive, place), place, maxOf(object));
    } catch (error) {
      this.#lost(object, newest, damageKindOf(error));
      return;
    }
    if (data === undefined) {
      const isDue = object.kind === 'catalogues' || (newest !== undefined && !isRemoval(newest));
      if (isDue) this.#lost(object, newest, 'missing');
      return;
    }
    this.#after(data.length);
    const sum = checksumOf(data);
    // Also the one before the newest: an interrupted put leaves only its copy.
    const lasts = this.#kept?.of(object).slice(-2) ?? [];
    const wasPut = lasts.some((each) => each.sum === sum);
    if (!wasPut && formFault(this.#place, object, data) !== undefined) this.#lost(object, newest, 'corrupt');
    else if (!wasPut && object.kind === 'catalogues' && newest !== undefined)
      this.#add(place, 'corrupt', unsure(newest));
    else this.sound.push({ object, data });
  }

  /** Certain damage. */
  #lost(object: KeptObject, newest: KeptFile | undefined, kind: DamageKind): void {
    const { disk, archive } = this.#place;
    const place = placeOf(object);
    const copy = newest === undefined || isRemoval(newest) ? undefined : this.#soundCopy(newest);
    if (newest === undefined || copy === undefined) {
      this.#add(place, kind, object.kind === 'keys' ? keyRemove(object.name) : NEXT_SEND);
      return;
    }
    this.#add(place, kind, `"sparsebak-receiver scrub" puts back version ${newest.number}, the last one put`, () => {
      if (object.kind === 'keys' && disk.kindOf(join(archive, KEYS)) === undefined) {
        disk.makeFolder(join(archive, KEYS));
        disk.syncFolder(archive);
      }
      disk.replace(join(archive, place), copy);
      return `version ${newest.number}, the last one put, is back in its place`;
    });
  }

  #soundCopy(file: KeptFile): Uint8Array | undefined {
    try {
      const data = this.#kept?.dataOf(file, maxOf(file));
      return data !== undefined && formFault(this.#place, file, data) === undefined ? data : undefined;
    } catch (error) {
      damageKindOf(error);
      return undefined;
    }
  }

  #copy(file: KeptFile): void {
    const kept = this.#kept;
    const { kind, bytes = 0 } = kept?.inspect(file, maxOf(file)) ?? {};
    if (bytes > 0) this.#after(bytes);
    if (kept === undefined || kind === undefined) return;
    const source =
      kept.newest(file) === file ? this.sound.find(({ data }) => checksumOf(data) === file.sum) : undefined;
    if (source === undefined)
      this.#add(kept.placeOf(file), kind, `${NOT_NEEDED} "sparsebak-receiver kept remove ${file.number}"`);
    else
      this.#add(kept.placeOf(file), kind, '"sparsebak-receiver scrub" rebuilds it', () => {
        kept.keep(file, source.data, file.time);
        return 'rebuilt';
      });
  }
}

const NEXT_PUT = 'it is moved aside when the next catalogue or slot is put';
const KEY_ADD = '"sparsebak key add" in dom0 adds another slot';
const NEXT_SEND = 'the next "sparsebak send" of the computer that writes puts its own back';
const NOT_NEEDED = 'this copy is not needed for anything in use;';

function keyRemove(name: string): string {
  return `"sparsebak key add" in dom0 adds another slot, and "sparsebak key remove ${name}" removes this one`;
}

/** The remedy for a well-formed catalogue that is not the one put here. */
function unsure({ number }: KeptFile): string {
  return (
    '"sparsebak verify" in dom0 shows whether it is damaged; the next "sparsebak send" then puts its own ' +
    `back. Without a dom0: "sparsebak-receiver kept restore ${number}"`
  );
}
