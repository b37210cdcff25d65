/**
 * Which volumes a command is about: what the configuration selects in the pools, or what of that the user names. Nothing
 * is left out in silence: what a pattern matched and cannot be taken is part of the answer.
 */
import { SparsebakError } from '../../shared/errors.ts';
import { isLiteral } from '../source/glob.ts';
import { listSome, type Pool } from './pools.ts';

export interface SelectedVolume {
  readonly pool: Pool;
  readonly volume: string;
  /** It is named in full by the configuration or the user, but is not there now. */
  readonly missing: boolean;
}

/** What a pattern of the configuration found, and that no command takes. */
export interface SkippedEntry {
  /** A volume's name, or what would be one. */
  readonly name: string;
  readonly error: { readonly code: 'left-out'; readonly message: string };
}

export interface Selection {
  /** Sorted by name. */
  readonly volumes: readonly SelectedVolume[];
  /** Sorted by name; a command that has any of these is not complete (exit status 3). */
  readonly skipped: readonly SkippedEntry[];
}

/**
 * @param names volumes that the user names; all of the configuration without any
 * @throws `config` where one name is in two pools, `not-found` for a name that is not selected
 */
export async function selectVolumes(pools: readonly Pool[], names: readonly string[]): Promise<Selection> {
  const found = new Map<string, SelectedVolume>();
  const skipped = new Map<string, SkippedEntry>();
  for (const pool of pools) {
    const here = await volumesOf(pool);
    for (const selected of here.volumes) addOnce(found, selected);
    for (const entry of here.skipped) skipped.set(entry.name, entry);
  }
  for (const name of names) if (!found.has(name) && !skipped.has(name)) throw notSelected(name, [...found.keys()]);
  const isMeant = ({ name }: { readonly name: string }): boolean => names.length === 0 || names.includes(name);
  const selection: Selection = {
    volumes: [...found.values()].filter(({ volume }) => isMeant({ name: volume })).sort(byVolume),
    skipped: [...skipped.values()].filter(isMeant).sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
  if (selection.volumes.length > 0 || selection.skipped.length > 0) return selection;
  throw new SparsebakError('config', 'the configuration selects no volume', {
    hint: 'Give a pool volumes = ["…"]; globs are taken.',
  });
}

function byVolume(a: SelectedVolume, b: SelectedVolume): number {
  return a.volume < b.volume ? -1 : 1;
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

function notSelected(name: string, found: readonly string[]): SparsebakError {
  return new SparsebakError('not-found', `no configured pool has a volume "${name}"`, {
    hint: found.length === 0 ? 'The configuration selects no volume at all.' : `There are: ${listSome(found)}.`,
  });
}

async function volumesOf(pool: Pool): Promise<Selection> {
  const { volumes, exclude } = pool.config;
  if (volumes.length === 0) return { volumes: [], skipped: [] };
  const { volumes: present, leftOut } = await pool.source.list(volumes, exclude);
  const known = new Set([...present, ...leftOut.map(({ name }) => name), ...exclude]);
  const absent = new Set(volumes.filter((name) => isLiteral(name) && !known.has(name)));
  return {
    volumes: [
      ...present.map((volume) => ({ pool, volume, missing: false })),
      ...[...absent].map((volume) => ({ pool, volume, missing: true })),
    ],
    skipped: leftOut.map(({ name, reason }) => ({
      name,
      error: { code: 'left-out', message: `not taken: ${reason}` },
    })),
  };
}
