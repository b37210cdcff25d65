/**
 * Whether what opens an archive (its catalogue and key slots) is what was put there, by the checksums in the names of
 * the copies that are kept; and whether these copies are sound. Only what is damaged for certain is put back unasked:
 * to take a later catalogue that an older receiver put for damage, and go back behind it, would look to dom0 as if the
 * archive had been rolled back.
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
  /** Puts it right, where that is safe; gives what was done. */
  readonly repair: (() => string) | undefined;
}

interface Sound {
  readonly object: KeptObject;
  readonly data: Uint8Array;
}

/** Without changing anything. `after` is told of each file that was read. */
export function checkObjects(place: ArchivePlace, after: (bytes: number) => void): ArchiveDamage[] {
  return new Examination(place, after).found.map(({ damage: damage }) => ({ ...damage, repaired: false }));
}

/**
 * Under the archive's lock: puts back what is damaged for certain, and copies what has no copy yet. What the disk does
 * not let be done (it is full, or read-only) is left, and named as `checkObjects` does.
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
  /** What is what was put, or may be. */
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

  /** Those that are there, and those that were put and not removed. */
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
    // The one before the newest, too: where a put was cut off, its copy is there alone.
    const lasts = this.#kept?.of(object).slice(-2) ?? [];
    const wasPut = lasts.some((each) => each.sum === sum);
    if (!wasPut && formFault(this.#place, object, data) !== undefined) this.#lost(object, newest, 'corrupt');
    else if (!wasPut && object.kind === 'catalogues' && newest !== undefined)
      this.#add(place, 'corrupt', unsure(newest));
    else this.sound.push({ object, data });
  }

  /** Damaged for certain. */
  #lost(object: KeptObject, newest: KeptFile | undefined, kind: DamageKind): void {
    const { disk, archive } = this.#place;
    const place = placeOf(object);
    const copy = newest === undefined || isRemoval(newest) ? undefined : this.#soundCopy(newest);
    if (newest === undefined || copy === undefined) {
      this.#add(place, kind, object.kind === 'keys' ? keyRemove(object.name) : NEXT_SEND);
      return;
    }
    this.#add(place, kind, `"sparsebak-receiver scrub" puts back what was put last (version ${newest.number})`, () => {
      if (object.kind === 'keys' && disk.kindOf(join(archive, KEYS)) === undefined) {
        disk.makeFolder(join(archive, KEYS));
        disk.syncFolder(archive);
      }
      disk.replace(join(archive, place), copy);
      return `what was put last (version ${newest.number}) is in its place again`;
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
      this.#add(kept.placeOf(file), kind, '"sparsebak-receiver scrub" makes it again', () => {
        kept.keep(file, source.data, file.time);
        return 'made again';
      });
  }
}

const NEXT_PUT = 'it is put aside when the next catalogue or slot is put';
const KEY_ADD = '"sparsebak key add" in dom0 makes another slot';
const NEXT_SEND = 'the next "sparsebak send" of the computer that writes puts its own back';
const NOT_NEEDED = 'nothing that is in use needs this copy;';

function keyRemove(name: string): string {
  return `"sparsebak key add" in dom0 makes another slot, and "sparsebak key remove ${name}" removes this one`;
}

/** Of a catalogue that has the form of one, and is not what was put here. */
function unsure({ number }: KeptFile): string {
  return (
    '"sparsebak verify" in dom0 tells whether it is damaged; the next "sparsebak send" then puts its own ' +
    `back. Without a dom0: "sparsebak-receiver kept restore ${number}"`
  );
}
