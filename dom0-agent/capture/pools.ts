/** The configured pools, opened for use. */
import { stateLock } from './state-lock.ts';
import type { Capture } from './capture.ts';
import { PairingStore } from './pairing-store.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { openSource } from '../source/open-source.ts';
import type { Config, PoolConfig, QubesConfig } from '../config/config.ts';
import { ownPlaces } from '../config/own-places.ts';
import { DocumentsSource } from '../qubes/documents-source.ts';
import { dom0UserHome } from '../qubes/dom0-user.ts';
import { parseArchiveName } from '../qubes/names.ts';
import { QubesHost } from '../qubes/qubes-host.ts';
import { QubeVolumesSource } from '../qubes/volumes-source.ts';
import type { RunningState, Source } from '../source/source.ts';

/** What the configuration selects in a pool, and how it is captured. */
export type PoolSelection = PoolConfig | QubesSelection;

/** The volumes of qubes, or what has no disk image: their settings, and dom0's home directory. */
interface QubesSelection {
  readonly type: 'qubes' | 'documents';
  readonly name: string;
  readonly state: RunningState;
  /** Patterns of qubes' names. */
  readonly volumes: readonly string[];
  readonly exclude: readonly string[];
}

export interface Pool extends Capture {
  readonly config: PoolSelection;
}

/** Whether the state of a running qube's volume is captured, instead of the stopped one. */
export function capturesRunning({ config }: Pool): boolean {
  return config.type !== 'file' && config.type !== 'documents' && config.state === 'running';
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
  const warn = (error: SparsebakError): void => {
    options.warn(error.message);
  };
  const asPool = (selection: PoolSelection, source: Source): Pool => {
    return { config: selection, pool: selection.name, source, store, lock, warn };
  };
  const configured = config.pools.map((pool) =>
    asPool(pool, openSource(pool.type === 'lvm-thin' ? { ...pool, stateDir: config.stateDir } : pool)),
  );
  if (config.qubes === undefined) return configured;
  return [...configured, ...qubesPools(config, config.qubes, options).map(([pool, source]) => asPool(pool, source))];
}

/** undefined: no qubes are saved. */
export function qubesHostOf(pools: readonly Pool[]): QubesHost | undefined {
  for (const { source } of pools) if (source instanceof QubeVolumesSource) return source.host;
  return undefined;
}

/** No pool of the configuration has a name with a colon. */
const QUBES = 'qubes:volumes';
export const DOCUMENTS = 'qubes:settings';

function qubesPools(
  config: Config,
  { include, exclude, dom0Home, state, fullAt, socket }: QubesConfig,
  { warn }: PoolOptions,
): [QubesSelection, Source][] {
  const { stateDir } = config;
  const host = new QubesHost(socket, { state, fullAt, stateDir });
  const home = dom0Home === false ? undefined : dom0Home === true ? dom0UserHome() : dom0Home;
  const leftOut = ownPlaces(config).map(({ path }) => path);
  const selection = { state, volumes: include, exclude };
  return [
    [{ ...selection, type: 'qubes', name: QUBES }, new QubeVolumesSource(host)],
    [
      { ...selection, type: 'documents', name: DOCUMENTS },
      new DocumentsSource(host, { stateDir, home, leftOut, warn }),
    ],
  ];
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
  const { qube } = parseArchiveName(volume) ?? {};
  if (only === undefined && qube !== undefined && qubesHostOf(pools) !== undefined) {
    throw new SparsebakError('not-found', `no qube here has the volume ${volume}`, {
      hint: `Restore the whole qube with "sparsebak qube restore ${qube}", or this volume to a file with --to PATH.`,
    });
  }
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
