/**
 * The configured pools as things to work with, and the volumes that a command is about.
 */
import { stateLock } from '../capture/lock.ts';
import type { Capture } from '../capture/capture.ts';
import { PairingStore } from '../capture/pairing-store.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { isLiteral } from '../source/glob.ts';
import { openSource } from '../source/open-source.ts';
import type { Config, PoolConfig } from './config.ts';

export interface Pool extends Capture {
  readonly config: PoolConfig;
}

export interface PoolOptions {
  /** Seconds to wait for another process that holds dom0's state. */
  readonly lockWait: number;
  readonly warn: (message: string) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

export interface SelectedVolume {
  readonly pool: Pool;
  readonly volume: string;
  /** It is named in full by the configuration or the user, but is not there now. */
  readonly missing: boolean;
}

export function openPools(config: Config, options: PoolOptions): Pool[] {
  const store = new PairingStore(config.stateDir);
  const lock = stateLock(config.stateDir, {
    waitSeconds: options.lockWait,
    signal: options.signal,
    onWait: () => {
      options.warn("waiting for another sparsebak that holds dom0's state");
    },
  });
  return config.pools.map((pool) => ({
    config: pool,
    pool: pool.name,
    source: openSource(pool.type === 'lvm-thin' ? { ...pool, stateDir: config.stateDir } : pool),
    store,
    lock,
    warn: (error) => {
      options.warn(error.message);
    },
  }));
}

/**
 * The volumes that the configuration selects, or those of them that the user names.
 * @throws `config` where one name is in two pools, `usage` for a name that is not selected, or when nothing is
 */
export async function selectVolumes(pools: readonly Pool[], names: readonly string[]): Promise<SelectedVolume[]> {
  const found = new Map<string, SelectedVolume>();
  for (const pool of pools) {
    for (const selected of await volumesOf(pool)) {
      const other = found.get(selected.volume);
      if (other !== undefined) {
        throw new SparsebakError(
          'config',
          `the volume ${selected.volume} is in pool ${other.pool.pool} and in pool ${pool.pool}`,
          {
            hint: 'Volumes are known by name alone: exclude it in one of the two.',
          },
        );
      }
      found.set(selected.volume, selected);
    }
  }
  for (const name of names) {
    if (!found.has(name)) {
      throw new SparsebakError('usage', `no configured pool has a volume "${name}"`, {
        hint:
          found.size === 0 ? 'The configuration selects no volume at all.' : `There are: ${some([...found.keys()])}.`,
      });
    }
  }
  const selected =
    names.length === 0 ? [...found.values()] : [...new Set(names)].flatMap((name) => found.get(name) ?? []);
  if (selected.length === 0) {
    throw new SparsebakError('config', 'the configuration selects no volume', {
      hint: 'Give a pool volumes = ["…"]; globs are taken.',
    });
  }
  return selected.sort((a, b) => (a.volume < b.volume ? -1 : 1));
}

/**
 * The pool that a volume is restored to: the one that is named, the only one, or the one that has the volume.
 * @throws `usage` where that is not clear
 */
export async function choosePool(pools: readonly Pool[], volume: string, name: string | undefined): Promise<Pool> {
  const known = some(pools.map(({ pool }) => pool));
  if (name !== undefined) {
    const named = pools.find(({ pool }) => pool === name);
    if (named !== undefined) return named;
    throw new SparsebakError('usage', `there is no pool "${name}"`, { hint: `There are: ${known || 'none'}.` });
  }
  const [first, ...others] = pools;
  if (first !== undefined && others.length === 0) return first;
  const having: Pool[] = [];
  for (const pool of pools) if ((await pool.source.list([volume], [])).includes(volume)) having.push(pool);
  const [only, ...more] = having;
  if (only !== undefined && more.length === 0) return only;
  const why = only === undefined ? `no configured pool has ${volume} now` : `several pools have ${volume}`;
  throw new SparsebakError('usage', why, {
    hint: known === '' ? 'Restore with --to PATH.' : `Say which is meant with --pool: ${known}.`,
  });
}

async function volumesOf(pool: Pool): Promise<SelectedVolume[]> {
  const { volumes, exclude } = pool.config;
  if (volumes.length === 0) return [];
  const present = await pool.source.list(volumes, exclude);
  const absent = volumes.filter((name) => isLiteral(name) && !present.includes(name) && !exclude.includes(name));
  return [
    ...present.map((volume) => ({ pool, volume, missing: false })),
    ...[...new Set(absent)].map((volume) => ({ pool, volume, missing: true })),
  ];
}

function some(names: readonly string[]): string {
  return names.length <= 8 ? names.join(', ') : `${names.slice(0, 8).join(', ')} and ${names.length - 8} more`;
}
