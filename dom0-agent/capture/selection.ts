/**
 * Which volumes a command is about: what the configuration selects in the pools, or what of that the user names.
 * Nothing is left out in silence: what a pattern matched and cannot be taken, a pattern that matches nothing, a volume
 * that was there once, and a pool that fails are all part of the answer, and none of them keeps the others from theirs.
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
} from './pool-look.ts';
import { listSome, type Pool } from './pools.ts';

export interface Selection {
  /** Sorted by name. */
  readonly volumes: readonly SelectedVolume[];
  /** Sorted by name. A command that has any of these, or a volume that is missing, is not complete (exit status 3). */
  readonly skipped: readonly SkippedEntry[];
}

export interface SelectionRequest {
  /** Volumes that the user names; all of the configuration without any. */
  readonly names: readonly string[];
  /**
   * Volumes that were in this pool once, as far as is known, and should still be in it where the configuration selects
   * them.
   */
  readonly known: (pool: Pool) => readonly string[];
}

/** Qubes takes a volume away for a moment, when a qube stops. Milliseconds. */
const SECOND_LOOK = 1000;

/**
 * @throws `config` where one name is in two pools or nothing is selected, `not-found` for a name that is not selected
 */
export async function selectVolumes(pools: readonly Pool[], request: SelectionRequest): Promise<Selection> {
  let selection = await look(pools, request);
  if (selection.volumes.some(({ missing }) => missing)) {
    await delay(SECOND_LOOK);
    selection = await look(pools, request);
  }
  if (selection.volumes.length > 0 || selection.skipped.length > 0) return selection;
  throw new SparsebakError('config', 'the configuration selects no volume', {
    hint: 'Give a pool volumes = ["…"]; globs are taken.',
  });
}

/** That it is missing, and what to do. */
export function missingVolume({ volume, pool }: SelectedVolume): SparsebakError {
  const hint = pool.config.volumes.includes(volume)
    ? `If it is gone for good, take its name out of pool.${pool.pool} in the configuration.`
    : 'If it is gone for good, exclude it in ' +
      `pool.${pool.pool} of the configuration, or give up its sessions: sparsebak delete ${volume}`;
  return new SparsebakError('not-found', `${volume} is not there`, { hint });
}

async function look(pools: readonly Pool[], { names, known }: SelectionRequest): Promise<Selection> {
  const looks = await Promise.all(pools.filter(({ config }) => config.volumes.length > 0).map(lookAtPool));
  const found = new Map<string, SelectedVolume>();
  for (const each of looks) for (const selected of presentOrNamed(each)) addOnce(found, selected);
  const skipped = looks.flatMap(leftOutEntries);
  const isUntold = (name: string): boolean => !found.has(name) && !skipped.some((entry) => entry.name === name);
  // First the pools that fail: one of these may have what another seems to have lost.
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

function addOnce(found: Map<string, SelectedVolume>, selected: SelectedVolume): void {
  const { volume, pool } = selected;
  const other = found.get(volume);
  if (other !== undefined) {
    throw new SparsebakError('config', `the volume ${volume} is in pool ${other.pool.pool} and in pool ${pool.pool}`, {
      hint: 'Volumes are known by name alone: exclude it in one of the two.',
    });
  }
  found.set(volume, selected);
}

/** What of it the user means, in order. */
function meant({ volumes, skipped }: Selection, names: readonly string[]): Selection {
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
