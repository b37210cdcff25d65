/** Examines a pool once: its volumes, and which of the configuration's patterns match none. */
import { asSparsebakError, reportOf, type ErrorReport, type SparsebakError } from '../../shared/errors.ts';
import { isLiteral, nameMatcher } from '../source/glob.ts';
import type { FoundVolumes, LeftOut } from '../source/source.ts';
import { INCLUDED } from '../qubes/patterns.ts';
import type { Pool } from './pools.ts';

export interface SelectedVolume {
  readonly pool: Pool;
  readonly volume: string;
  /** It should exist and does not: it is named in full, or existed before. */
  readonly missing: boolean;
}

/** Something that the configuration selects and no command can use. */
export interface SkippedEntry {
  /** A volume's name, or what would be one; a pattern; or a pool, as `pool NAME`. */
  readonly name: string;
  /** `failed`: its pool failed. */
  readonly kind: 'skipped' | 'failed';
  readonly error: ErrorReport;
}

/** The content of a pool, or why it cannot be examined. */
export type PoolLook = {
  readonly pool: Pool;
  /** Whether the configuration selects a volume of this name in the pool. */
  readonly covers: (name: string) => boolean;
} & (
  | { readonly kind: 'listed'; readonly found: FoundVolumes }
  | { readonly kind: 'failed'; readonly error: SparsebakError }
);

export async function lookAtPool(pool: Pool): Promise<PoolLook> {
  const { volumes, exclude } = pool.config;
  const covers = coverage(pool);
  try {
    return { pool, covers, kind: 'listed', found: await pool.source.list(volumes, exclude) };
  } catch (caught) {
    return { pool, covers, kind: 'failed', error: asSparsebakError(caught, 'source') };
  }
}

function coverage({ config: { volumes, exclude }, source: { patterns: rules } }: Pool): (name: string) => boolean {
  if (rules === undefined) return nameMatcher(volumes, exclude);
  const matches = (patterns: readonly string[], name: string): boolean =>
    patterns.some((pattern) => rules.matches(pattern, name));
  return (name) => matches(volumes, name) && !matches(exclude, name);
}

/** Volumes that exist, and those that the configuration names in full. */
export function presentOrNamed(look: PoolLook): SelectedVolume[] {
  if (look.kind === 'failed') return [];
  const { pool, found } = look;
  const told = new Set([...found.volumes, ...found.leftOut.map(({ name }) => name)]);
  return [
    ...found.volumes.map((volume) => ({ pool, volume, missing: false })),
    ...literalsOf(look)
      .filter((name) => !told.has(name))
      .map((volume) => ({ pool, volume, missing: true })),
  ];
}

/**
 * Volumes that existed before and that the configuration still selects. @param once names of volumes that existed
 * before
 */
export function lostVolumes({ kind, pool, covers }: PoolLook, once: readonly string[]): SelectedVolume[] {
  return kind === 'failed' ? [] : once.filter(covers).map((volume) => ({ pool, volume, missing: true }));
}

export function leftOutEntries(look: PoolLook): SkippedEntry[] {
  if (look.kind === 'failed') return [];
  return look.found.leftOut.map(asSkipped);
}

/** What the pools' last snapshots did not take of volumes that were captured. */
export function incompleteEntries(pools: readonly Pool[]): SkippedEntry[] {
  return pools.flatMap(({ source }) => (source.incomplete ?? []).map(asSkipped));
}

const OTHERWISE = 'Move it away, or exclude it in the configuration.';

function asSkipped({ name, reason, hint = OTHERWISE }: LeftOut): SkippedEntry {
  return { name, kind: 'skipped', error: { code: 'left-out', message: `not taken: ${reason}`, hint } };
}

/** The volumes that a failing pool should have; the pool itself if none is known. */
export function failedEntries(look: PoolLook, known: readonly string[]): SkippedEntry[] {
  if (look.kind === 'listed') return [];
  const { pool, error, covers } = look;
  const volumes = new Set([...literalsOf(look), ...known.filter(covers)]);
  const names = volumes.size === 0 ? [`pool ${pool.pool}`] : [...volumes];
  return names.map((name) => ({ name, kind: 'failed', error: reportOf(error) }));
}

/**
 * Globs that match no volume, no left-out file, and nothing that an exclude matches.
 * @param selected the pool's volumes, including missing ones
 */
export async function unmatchedEntries(look: PoolLook, selected: readonly string[]): Promise<SkippedEntry[]> {
  if (look.kind === 'failed') return [];
  const { pool, found } = look;
  const rules = pool.source.patterns;
  if (rules !== undefined) return rules.unmatched(pool.config.volumes).map(noSuchQube);
  const names = [...selected, ...found.leftOut.map(({ name }) => name)];
  const unmatched: string[] = [];
  for (const pattern of new Set(pool.config.volumes)) {
    if (isLiteral(pattern) || names.some(nameMatcher([pattern], []))) continue;
    if (pool.config.exclude.length > 0) {
      const { volumes, leftOut } = await pool.source.list([pattern], []);
      if (volumes.length + leftOut.length > 0) continue;
    }
    unmatched.push(pattern);
  }
  const message = `pool ${pool.pool} has no volume that this pattern matches`;
  const hint = 'Correct the pattern, or remove it from the configuration.';
  return unmatched.map((name) => ({ name, kind: 'skipped', error: { code: 'no-match', message, hint } }));
}

function noSuchQube(pattern: string): SkippedEntry {
  const message =
    pattern === INCLUDED
      ? 'no qube is included in backups, by its property include_in_backups'
      : 'there is no qube that this selects';
  const hint = 'Correct "include" in section [qubes] of the configuration.';
  return { name: pattern, kind: 'skipped', error: { code: 'no-match', message, hint } };
}

function literalsOf({ pool, covers }: PoolLook): string[] {
  if (pool.source.patterns !== undefined) return [];
  return [...new Set(pool.config.volumes)].filter((name) => isLiteral(name) && covers(name));
}
