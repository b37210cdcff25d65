/** The file of a volume as it lies in a pool's folder now: found without following links, and open before it is looked at. */
import { constants } from 'node:fs';
import { lstat, open, realpath, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { dirtyName } from './qubes-images.ts';
import { checkVolumeName, specialKind, unreadable, type Judgement } from './pool-folder.ts';
import type { RunningState } from './source.ts';

export interface LiveVolume {
  readonly volume: string;
  /** The file that is captured, relative to the pool: the volume's own or the one that a running qube writes to. */
  readonly name: string;
  readonly state: RunningState;
  readonly handle: FileHandle;
}

/** What a volume's name stands for, be it that its qube runs and has renamed its only file. */
export async function judgeLiveVolume(folder: string, volume: string): Promise<Judgement> {
  const judgement = await judgeVolumeFile(folder, volume);
  return judgement.kind === 'missing' && (await isRunning(folder, volume)) ? { kind: 'volume' } : judgement;
}

/** What a name stands for in a pool whose volumes are regular files that no symbolic link leads to. */
async function judgeVolumeFile(folder: string, name: string): Promise<Judgement> {
  try {
    const kind = specialKind(await lstat(join(folder, name)));
    if (kind !== undefined) return { kind: 'left out', reason: `it is ${kind}, and volumes are regular files` };
  } catch (error) {
    return unreadable(error);
  }
  if (await isReached(folder, name)) return { kind: 'volume' };
  return { kind: 'left out', reason: 'a folder on the way to it is a symbolic link' };
}

/** Whether a running qube writes to a file that is named as its dirty image: beside the volume's own, or in its place. */
export async function isRunning(folder: string, volume: string): Promise<boolean> {
  const dirty = dirtyName(volume);
  return dirty !== undefined && (await judgeVolumeFile(folder, dirty)).kind === 'volume';
}

/** Those of the volumes whose qube runs and writes to a file beside their own. */
export async function runningAmong(folder: string, volumes: readonly string[]): Promise<ReadonlySet<string>> {
  const looked = await Promise.all(
    volumes.map(
      async (volume) => (await isRunning(folder, volume)) && (await judgeVolumeFile(folder, volume)).kind === 'volume',
    ),
  );
  return new Set(volumes.filter((_, at) => looked[at]));
}

/**
 * @param wanted `running`: where a qube runs, the file that it writes to; `stopped`: the volume's own. Where Qubes keeps no
 * revisions a running qube has but one file, which is taken in both cases
 */
export async function openLiveVolume(folder: string, volume: string, wanted: RunningState): Promise<LiveVolume> {
  checkVolumeName(volume);
  const dirty = dirtyName(volume);
  const stopped = { name: volume, state: 'stopped' } as const;
  const running = dirty === undefined ? [] : [{ name: dirty, state: 'running' } as const];
  // The running one once more, for a qube that starts just now and renames its only file.
  const files = wanted === 'running' ? [...running, stopped, ...running] : [stopped, ...running, stopped];
  if (await isReached(folder, volume)) {
    for (const { name, state } of files) {
      const handle = await openFile(folder, name);
      if (handle !== undefined) return { volume, name, state, handle };
    }
  }
  throw new SparsebakError('not-found', `${volume}: there is no such file in ${folder}`);
}

async function openFile(folder: string, name: string): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    // A FIFO without a writer would make us wait for one.
    handle = await open(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (systemCode(error) !== 'ELOOP') throw error;
    throw new SparsebakError('source', `${name}: a symbolic link is no volume`, { cause: error });
  }
  try {
    if ((await handle.stat()).isFile()) return handle;
    throw new SparsebakError('source', `${name}: not a regular file`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Whether the way to a file leads through folders of the pool alone, and through no link. */
async function isReached(folder: string, name: string): Promise<boolean> {
  try {
    return (await realpath(dirname(join(folder, name)))) === join(await realpath(folder), dirname(name));
  } catch {
    return false;
  }
}
