/**
 * Selects the volumes of a command: those that the configuration selects in the pools, or the ones among them that the
 * user names. Nothing is left out silently: matched files that cannot be used, patterns without a match, volumes that
 * existed before, and failing pools are all part of the result, and none of them affects the others.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError } from '../../shared/errors.ts';
import {
  failedEntries,
  leftOutEntries,
  lookAtPool,
  lostVolumes,
  presentOrNamed,
  unmatchedEntries,
  type SelectedVolume,
  type SkippedEntry,
} from './look-at-pool.ts';
import { isQubeName, parseArchiveName } from '../qubes/names.ts';
import { listSome, type Pool } from './pools.ts';

export interface Selection {
  /** Sorted by name. */
  readonly volumes: readonly SelectedVolume[];
  /** Sorted by name. A command that has any of these, or a missing volume, is not complete (exit status 3). */
  readonly skipped: readonly SkippedEntry[];
}

export interface SelectionRequest {
  /** Volumes that the user names; if empty, all that the configuration selects. */
  readonly names: readonly string[];
  /** Volumes known to have been in this pool, which should still be in it if the configuration selects them. */
  readonly known: (pool: Pool) => readonly string[];
}

/**
 * Milliseconds before a missing volume is looked for again: Qubes removes a volume for a moment when its qube stops.
 */
const SECOND_LOOK = 1000;

/** @throws `config` if a name is in two pools or nothing is selected, `not-found` for a name that is not selected */
export async function selectVolumes(pools: readonly Pool[], request: SelectionRequest): Promise<Selection> {
  let selection = await look(pools, request);
  if (selection.volumes.some(({ missing }) => missing)) {
    await delay(SECOND_LOOK);
    selection = await look(pools, request);
  }
  if (selection.volumes.length > 0 || selection.skipped.length > 0) return selection;
  throw new SparsebakError('config', 'the configuration selects no volume', {
    hint: 'Give a pool volumes = ["…"]; globs are allowed.',
  });
}

/** The error for a missing volume. */
export function missingVolume({ volume, pool }: SelectedVolume): SparsebakError {
  if (pool.source.patterns !== undefined) {
    return new SparsebakError('not-found', `${volume} is not there, although its qube is`, {
      hint: `Delete its sessions if they are no longer needed: sparsebak delete ${volume}`,
    });
  }
  const hint = pool.config.volumes.includes(volume)
    ? `If it is gone permanently, remove its name from pool.${pool.pool} in the configuration.`
    : 'If it is gone permanently, exclude it in ' +
      `pool.${pool.pool} of the configuration, or delete its sessions: sparsebak delete ${volume}`;
  return new SparsebakError('not-found', `${volume} is not there`, { hint });
}

async function look(pools: readonly Pool[], { names, known }: SelectionRequest): Promise<Selection> {
  const looks = await Promise.all(pools.filter(({ config }) => config.volumes.length > 0).map(lookAtPool));
  const found = new Map<string, SelectedVolume>();
  for (const each of looks) for (const selected of presentOrNamed(each)) addOnce(found, selected);
  const skipped = [...looks.flatMap(leftOutEntries), ...withoutDoubles(found)];
  const isUntold = (name: string): boolean => !found.has(name) && !skipped.some((entry) => entry.name === name);
  // Failing pools come first: one of them may have a volume that seems to be missing in another.
  for (const each of looks) skipped.push(...failedEntries(each, [...known(each.pool), ...names].filter(isUntold)));
  for (const each of looks) {
    for (const lost of lostVolumes(each, known(each.pool).filter(isUntold))) found.set(lost.volume, lost);
  }
  const volumes = [...found.values()];
  for (const each of looks) {
    const here = volumes.filter(({ pool }) => pool === each.pool).map(({ volume }) => volume);
    skipped.push(...(await unmatchedEntries(each, here)));
  }
  return meant({ volumes, skipped }, names);
}

/** Takes out volumes that a pool selects and that are saved as a qube's volumes as well. */
function withoutDoubles(found: Map<string, SelectedVolume>): SkippedEntry[] {
  const places = new Map<string, string>();
  for (const { volume, pool } of found.values()) {
    const place = pool.source.kind === 'qubes' ? pool.source.place?.(volume) : undefined;
    if (place !== undefined) places.set(place, volume);
  }
  if (places.size === 0) return [];
  const skipped: SkippedEntry[] = [];
  for (const { volume, pool } of found.values()) {
    const twin = pool.source.kind === 'qubes' ? undefined : places.get(pool.source.place?.(volume) ?? '');
    if (twin === undefined) continue;
    found.delete(volume);
    const message = `not taken: it is saved as ${twin} already`;
    const hint =
      `Exclude it in pool.${pool.pool} of the configuration. To continue its history: ` +
      `sparsebak qube adopt ${twin.split(':')[0] ?? ''}`;
    skipped.push({ name: volume, kind: 'skipped', error: { code: 'left-out', message, hint } });
  }
  return skipped;
}

function addOnce(found: Map<string, SelectedVolume>, selected: SelectedVolume): void {
  const { volume, pool } = selected;
  const other = found.get(volume);
  if (other !== undefined) {
    throw new SparsebakError('config', `the volume ${volume} is in pool ${other.pool.pool} and in pool ${pool.pool}`, {
      hint: 'Volumes are identified by name only: exclude it in one of the two.',
    });
  }
  found.set(volume, selected);
}

/** The part that the user names, in order. */
function meant({ volumes, skipped }: Selection, given: readonly string[]): Selection {
  const names = given.flatMap((name) => volumesOfQube(name, volumes) ?? [name]);
  const told = new Set([...volumes.map(({ volume }) => volume), ...skipped.map(({ name }) => name)]);
  const unknown = names.find((name) => !told.has(name));
  if (unknown !== undefined) {
    const known = volumes.map(({ volume }) => volume).sort();
    throw new SparsebakError('not-found', `no configured pool has a volume "${unknown}"`, {
      hint: known.length === 0 ? 'The configuration selects no volume at all.' : `There are: ${listSome(known)}.`,
    });
  }
  const isMeant = (name: string): boolean => names.length === 0 || names.includes(name);
  return {
    volumes: volumes.filter(({ volume }) => isMeant(volume)).sort((a, b) => (a.volume < b.volume ? -1 : 1)),
    skipped: skipped.filter(({ name }) => isMeant(name)).sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** A qube's name stands for all that is saved of it. undefined: it is not the name of a selected qube. */
function volumesOfQube(name: string, volumes: readonly SelectedVolume[]): string[] | undefined {
  if (!isQubeName(name) || volumes.some(({ volume }) => volume === name)) return undefined;
  const own = volumes.filter(({ volume }) => parseArchiveName(volume)?.qube === name).map(({ volume }) => volume);
  return own.length === 0 ? undefined : own;
}
