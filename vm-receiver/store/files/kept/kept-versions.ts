/** Kept versions for users: listed, put back, and removed before they expire. */
import { join } from 'node:path';
import { MAX_SLOTS } from '../../../../shared/wire/limits.ts';
import { Refusal } from '../../refusal.ts';
import type { KeptVersion } from '../../store.ts';
import { replacedAt } from './kept-expiry.ts';
import { isRemoval, type KeptFile } from './kept-name.ts';
import { Kept } from './kept-files.ts';
import { listOwn } from '../disk/own-file.ts';
import { formFault, maxOf, placeOf, putObject } from './objects.ts';
import { KEPT, KEYS } from '../layout/paths.ts';
import type { ArchivePlace } from '../layout/volume-place.ts';
import { isSlotName } from '../../../../shared/archive/names.ts';

const DAY = 86_400_000;

/** Catalogues first, then slots, each oldest first. Throws the system's error if they cannot be listed. */
export function keptVersions({ disk, archive, keeping }: ArchivePlace): KeptVersion[] {
  const kept = Kept.read(disk, archive);
  return (['catalogues', 'keys'] as const).flatMap((kind) =>
    kept
      .all(kind)
      .filter((file) => !isRemoval(file))
      .map((file) => versionOf(kept, file, keeping.days)),
  );
}

function versionOf(kept: Kept, file: KeptFile, days: number): KeptVersion {
  const { kind, number, time, sum, name } = file;
  const next = kept.of(file).find((other) => other.number > number);
  const at = kind === 'keys' ? replacedAt(kept.all('keys'), file) : undefined;
  return {
    number,
    slot: kind === 'keys' ? name : undefined,
    time,
    sha256: sum,
    bytes: kept.sizeOf(file),
    standing: next === undefined ? 'current' : isRemoval(next) ? 'removed' : 'replaced',
    until: at === undefined ? undefined : at + days * DAY,
  };
}

/** Under the archive's lock. @throws Refusal `not-found`; `refused` if it cannot be put back */
export function putBack(place: ArchivePlace, number: number): KeptVersion {
  const kept = Kept.read(place.disk, place.archive);
  const file = find(kept, number);
  const version = versionOf(kept, file, place.keeping.days);
  if (version.bytes === 0) {
    throw new Refusal(
      'refused',
      `of version ${number} only the checksum was kept: the disk was nearly full, or kept_size was reached`,
    );
  }
  const data = kept.dataOf(file, maxOf(file));
  const fault = formFault(place, file, data);
  if (fault !== undefined) throw new Refusal('refused', `version ${number} cannot be put back: ${fault}`);
  if (file.kind === 'keys') mustFit(place, file);
  putObject(place, file, data);
  return version;
}

/** @throws Refusal `refused` if the archive would have too many slots */
function mustFit({ disk, archive }: ArchivePlace, slot: KeptFile): void {
  const slots = listOwn(disk, join(archive, KEYS)).filter(isSlotName);
  if (slots.includes(slot.name) || slots.length < MAX_SLOTS) return;
  throw new Refusal('refused', `the archive already has ${MAX_SLOTS} key slots`, {
    hint: 'First remove one with "sparsebak key remove".',
  });
}

/** Under the archive's lock; durable when it returns. @throws Refusal `not-found`; `refused` for the current one */
export function removeVersion({ disk, archive }: ArchivePlace, number: number): void {
  const kept = Kept.read(disk, archive);
  const file = find(kept, number);
  if (kept.newest(file) === file) {
    throw new Refusal('refused', `version ${number} is the current one of ${placeOf(file)}, whose copy stays`);
  }
  kept.drop(file);
  disk.syncFolder(join(archive, KEPT, file.kind));
  if (disk.kindOf(join(archive, kept.placeOf(file))) === undefined) return;
  throw new Refusal('io', `cannot remove ${kept.placeOf(file)}`);
}

function find(kept: Kept, number: number): KeptFile {
  const file = [...kept.all('catalogues'), ...kept.all('keys')].find((each) => each.number === number);
  if (file !== undefined && !isRemoval(file)) return file;
  throw new Refusal('not-found', `no version ${number} is kept`, { hint: 'See "sparsebak-receiver kept list".' });
}
