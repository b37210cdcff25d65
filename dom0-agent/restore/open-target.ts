/** A path to restore to: a new file, an existing one that is replaced with --force, or a device. */
import { basename, dirname } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { findUse } from '../source/file-users.ts';
import type { Held } from '../source/held-file.ts';
import { newFile } from '../source/new-file.ts';
import { checkMounted } from '../source/pool-folder.ts';
import type { Target } from '../source/target.ts';
import { openFolder, walk } from '../source/walk.ts';
import { openDevice } from './device-target.ts';
import type { OwnPlace } from '../config/own-places.ts';
import { refuseOwnPlace } from './refuse-own-place.ts';
import { checkSpace } from '../source/check-space.ts';

export interface TargetRequest {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Replaces an existing file, or writes to a device. */
  readonly force: boolean;
  /** Folders to which nothing is restored. */
  readonly own: readonly OwnPlace[];
  /** How many bytes the data take if space is allocated in blocks of that many bytes. */
  readonly bytesIn?: (block: number) => Promise<number>;
}

/**
 * @throws `usage` if it is not a path to a file; `target` if it exists, is in use or too small, or cannot be written
 */
export async function openTarget(request: TargetRequest): Promise<Target> {
  const { path, own, bytesIn } = request;
  if (path === '-') {
    throw new SparsebakError(
      'usage',
      'a volume cannot be restored to standard output: it is verified only when all of it is written',
      {
        hint: 'Restore to a file with --to PATH, and read that. A file named "-" is ./-',
      },
    );
  }
  const openParent = (): Promise<Held> => openFolder(dirname(path), 'target');
  const folder = await openParent();
  try {
    await refuseOwnPlace(folder, path, own);
    await checkMounted(dirname(path), 'target');
    const there = await lookAt(folder, request);
    if (there === 'device') return await openDeviceAt(folder, request);
    if (bytesIn !== undefined) await checkSpace(folder, path, request.size, bytesIn);
    return newFile({ folder, openAgain: openParent, path, size: request.size, ...there });
  } catch (error) {
    folder.close();
    throw error;
  }
}

type There = 'device' | { readonly there: 'refuse' } | { readonly there: 'lose'; readonly check: () => Promise<void> };

/** Decides what happens to an existing file or device of this name. */
async function lookAt(folder: Held, request: TargetRequest): Promise<There> {
  const { path, force } = request;
  const name = basename(path);
  const isName = !path.endsWith('/') && name !== '' && name !== '.' && name !== '..';
  const stats = isName ? folder.look(name) : folder.stats;
  if (stats === undefined) return { there: 'refuse' };
  if (stats.isDirectory()) {
    const within = `${path.replace(/\/+$/, '')}/restored.img`;
    throw new SparsebakError('target', `${path} is a folder`, {
      hint: `Give the path of a file in it, such as ${within}.`,
    });
  }
  const isLink = stats.isSymbolicLink();
  const isDevice = stats.isBlockDevice() || (isLink && (await leadsToDevice(folder, request)));
  if (!force) {
    const what = isLink && !isDevice ? `${path} exists already, as a symbolic link` : `${path} exists already`;
    throw new SparsebakError('target', what, {
      hint: isDevice ? 'To overwrite this device, add --force.' : 'Choose another path, or add --force to replace it.',
    });
  }
  if (isDevice) return 'device';
  if (!stats.isFile() && !isLink) {
    throw new SparsebakError('target', `${path} is neither a file nor a block device`, {
      hint: 'Choose another path.',
    });
  }
  const check = (): Promise<void> => checkUnused(folder, path);
  await check();
  return { there: 'lose', check };
}

/** A process that has the file open would continue to use a file that no longer has a name. */
async function checkUnused(folder: Held, path: string): Promise<void> {
  const stats = folder.look(basename(path));
  const use = stats?.isFile() === true ? await findUse(folder, basename(path), stats) : undefined;
  if (use === undefined) return;
  throw new SparsebakError('target', `${path} is not replaced: ${use}`, {
    hint: 'Close it (or shut the qube down) first, or choose another path.',
  });
}

async function leadsToDevice(folder: Held, request: TargetRequest): Promise<boolean> {
  const target = await followed(folder, request);
  target?.close();
  return target?.stats.isBlockDevice() === true;
}

/**
 * The object that the path's last part leads to; undefined if there is none. @throws `target` for a link that is not
 * followed
 */
async function followed(from: Held, { path }: TargetRequest): Promise<Held | undefined> {
  const walked = await walk({ from, path: basename(path), links: 'trusted' });
  if (walked.kind === 'found') return walked.held;
  if (walked.kind === 'missing') return undefined;
  throw new SparsebakError('target', `${path} is not accepted: ${walked.reason}`, {
    hint: 'Give the path of its target, without that link.',
  });
}

async function openDeviceAt(folder: Held, request: TargetRequest): Promise<Target> {
  const device = await followed(folder, request);
  try {
    if (device?.stats.isBlockDevice() === true) return await openDevice(device, request.path, request.size);
  } finally {
    device?.close();
    folder.close();
  }
  throw new SparsebakError('target', `${request.path} is no longer a device`, { hint: 'Check what it is now.' });
}
