/** The configured pools, opened for use. */
import { stateLock } from './state-lock.ts';
import type { Capture } from './capture.ts';
import { PairingStore } from './pairing-store.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { openSource } from '../source/open-source.ts';
import type { Config, PoolConfig } from '../config/config.ts';

export interface Pool extends Capture {
  readonly config: PoolConfig;
}

/** Whether the state of a running qube's volume is captured, instead of the stopped one. */
export function capturesRunning({ config }: Pool): boolean {
  return config.type !== 'file' && config.state === 'running';
}

export interface PoolOptions {
  /** Seconds to wait for another process that holds dom0's state. */
  readonly lockWait: number;
  readonly warn: (message: string) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
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
 * The pool that a volume is restored to: the named one, the only one, or the one that has the volume.
 * @throws `usage` if that is not unique
 */
export async function choosePool(pools: readonly Pool[], volume: string, name: string | undefined): Promise<Pool> {
  const known = listSome(pools.map(({ pool }) => pool));
  if (name !== undefined) {
    const named = pools.find(({ pool }) => pool === name);
    if (named !== undefined) return named;
    throw new SparsebakError('usage', `there is no pool "${name}"`, { hint: `There are: ${known || 'none'}.` });
  }
  const [first, ...others] = pools;
  if (first !== undefined && others.length === 0) return first;
  const having: Pool[] = [];
  for (const pool of pools) if (await hasVolume(pool, volume)) having.push(pool);
  const [only, ...more] = having;
  if (only !== undefined && more.length === 0) return only;
  const why = only === undefined ? `no configured pool has ${volume} now` : `several pools have ${volume}`;
  throw new SparsebakError('usage', why, {
    hint: known === '' ? 'Restore with --to PATH.' : `Choose one with --pool: ${known}.`,
  });
}

/** A pool that cannot be examined counts as not having it: the user can name it with --pool. */
async function hasVolume({ source }: Pool, volume: string): Promise<boolean> {
  const found = await source.list([volume], []).catch(() => undefined);
  return found?.volumes.includes(volume) === true;
}

/** A short list for an error's text. */
export function listSome(names: readonly string[]): string {
  return names.length <= 8 ? names.join(', ') : `${names.slice(0, 8).join(', ')} and ${names.length - 8} more`;
}
