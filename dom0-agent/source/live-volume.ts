/** The file of a volume as it lies in a pool's folder now: found without following links, and open before it is looked at. */
import { constants } from 'node:fs';
import { lstat, open, realpath, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { checkVolumeName, specialKind, unreadable, type Judgement } from './pool-folder.ts';
import type { RunningState } from './source.ts';

export interface LiveVolume {
  readonly volume: string;
  /** The file that is captured, relative to the pool: the volume's own or the one that a running qube writes to. */
  readonly name: string;
  readonly state: RunningState;
  readonly handle: FileHandle;
}

/** What a name stands for in a pool whose volumes are regular files that no symbolic link leads to. */
export async function judgeVolumeFile(folder: string, name: string): Promise<Judgement> {
  try {
    const kind = specialKind(await lstat(join(folder, name)));
    if (kind !== undefined) return { kind: 'left out', reason: `it is ${kind}, and volumes are regular files` };
  } catch (error) {
    return unreadable(error);
  }
  if (await isReached(folder, name)) return { kind: 'volume' };
  return { kind: 'left out', reason: 'a folder on the way to it is a symbolic link' };
}

/** While a qube runs it writes to private-dirty.img, which is renamed to private.img when it stops. */
function dirtyName(volume: string): string | undefined {
  return volume.endsWith('.img') ? volume.replace(/\.img$/, '-dirty.img') : undefined;
}

/** Whether a running qube writes to another file than the volume's own. */
export async function isRunning(folder: string, volume: string): Promise<boolean> {
  const dirty = dirtyName(volume);
  return dirty !== undefined && (await judgeVolumeFile(folder, dirty)).kind === 'volume';
}

/** @param wanted `running`: where a qube runs, the file that it writes to */
export async function openLiveVolume(folder: string, volume: string, wanted: RunningState): Promise<LiveVolume> {
  checkVolumeName(volume);
  const dirty = wanted === 'running' ? dirtyName(volume) : undefined;
  if (await isReached(folder, volume)) {
    const running = dirty === undefined ? undefined : await openFile(folder, dirty);
    if (running !== undefined && dirty !== undefined) return { volume, name: dirty, state: 'running', handle: running };
    const handle = await openFile(folder, volume);
    if (handle !== undefined) return { volume, name: volume, state: 'stopped', handle };
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
