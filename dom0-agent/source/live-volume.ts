/** The current file of a volume in a pool's folder. */
import type { FileHandle } from 'node:fs/promises';
import { SparsebakError } from '../../shared/errors.ts';
import type { OpenPool } from './open-pool.ts';
import { dirtyName } from './qubes-images.ts';
import { checkVolumeName, specialKind, unreadable, type Judgement } from './pool-folder.ts';
import type { RunningState } from './source.ts';

export interface LiveVolume {
  readonly volume: string;
  /** The file to capture, relative to the pool: the volume's own or the one that a running qube writes to. */
  readonly name: string;
  readonly state: RunningState;
  readonly handle: FileHandle;
}

/** Judges a volume's name, also if its running qube has renamed its only file. */
export async function judgeLiveVolume(pool: OpenPool, volume: string): Promise<Judgement> {
  const judgement = await judgeVolumeFile(pool, volume);
  return judgement.kind === 'missing' && (await isRunning(pool, volume)) ? { kind: 'volume' } : judgement;
}

/** Judges a name in a pool whose volumes are regular files. */
async function judgeVolumeFile(pool: OpenPool, name: string): Promise<Judgement> {
  try {
    const found = await pool.find(name);
    if (found.kind !== 'found') return found;
    found.held.close();
    const kind = specialKind(found.held.stats);
    return kind === undefined
      ? { kind: 'volume' }
      : { kind: 'left out', reason: `it is ${kind}, and volumes are regular files` };
  } catch (error) {
    return unreadable(error);
  }
}

/** Whether a running qube writes to a dirty image: beside the volume's own file, or instead of it. */
export async function isRunning(pool: OpenPool, volume: string): Promise<boolean> {
  const dirty = dirtyName(volume);
  return dirty !== undefined && (await judgeVolumeFile(pool, dirty)).kind === 'volume';
}

/** The volumes whose qube is running and writes to a file beside the volume's own. */
export async function runningAmong(pool: OpenPool, volumes: readonly string[]): Promise<ReadonlySet<string>> {
  const looked = await Promise.all(
    volumes.map(
      async (volume) => (await isRunning(pool, volume)) && (await judgeVolumeFile(pool, volume)).kind === 'volume',
    ),
  );
  return new Set(volumes.filter((_, at) => looked[at]));
}

/**
 * @param wanted `running`: the file that a running qube writes to; `stopped`: the volume's own. If Qubes keeps no
 * revisions a running qube has only one file, which is used in both cases
 */
export async function openLiveVolume(pool: OpenPool, volume: string, wanted: RunningState): Promise<LiveVolume> {
  checkVolumeName(volume);
  const dirty = dirtyName(volume);
  const stopped = { name: volume, state: 'stopped' } as const;
  const running = dirty === undefined ? [] : [{ name: dirty, state: 'running' } as const];
  // Tries the running one again, for a qube that starts at this moment and renames its only file.
  const files = wanted === 'running' ? [...running, stopped, ...running] : [stopped, ...running, stopped];
  for (const { name, state } of files) {
    const handle = await pool.openFile(name);
    if (handle !== undefined) return { volume, name, state, handle };
  }
  throw new SparsebakError('not-found', `${volume}: there is no such file in ${pool.path}`);
}
