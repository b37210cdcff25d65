/** A volume that a restore makes in a pool that is a folder: anew, or in the place of another, which keeps another name. */
import { lstatSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { findFileUser } from './file-users.ts';
import { newFile } from './new-file.ts';
import { checkPoolFolder, checkVolumeName, replacedName } from './pool-folder.ts';
import type { NewVolume, Target } from './target.ts';

/** @throws `target` where it cannot be made, or the one that it replaces is in use */
export async function restoreFile(folder: string, { name, size, replaces }: NewVolume): Promise<Target> {
  await checkPoolFolder(folder);
  checkVolumeName(name);
  const path = join(folder, name);
  if (lookAt(dirname(path))?.isDirectory() !== true) {
    throw new SparsebakError('target', `${dirname(path)} is no folder`, { hint: 'Make it first, or name another.' });
  }
  if (!replaces) {
    if (lookAt(path) === undefined) return newFile({ path, size, there: 'refuse' });
    throw new SparsebakError('target', `${path} exists already`, {
      hint: 'Name another, or put the backup in its place with --replace.',
    });
  }
  const old = await replaceable(path, name);
  let seconds = Math.floor(Date.now() / 1000);
  while (lookAt(join(folder, replacedName(name, seconds))) !== undefined) seconds++;
  const check = async (): Promise<void> => {
    const now = await replaceable(path, name);
    if (now.ino === old.ino && now.dev === old.dev) return;
    throw new SparsebakError('target', `${path} was replaced while it was restored`, {
      hint: 'Nothing was changed. Try again.',
    });
  };
  const keptAs = basename(replacedName(name, seconds));
  return newFile({ path, size, there: { keptAs, like: old }, check });
}

function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** @throws unless it is there and not in use */
async function replaceable(path: string, name: string): Promise<Stats> {
  const old = lookAt(path);
  if (old === undefined) {
    throw new SparsebakError('not-found', `there is no ${path} to be replaced`, {
      hint: `Make it anew with --as ${name}.`,
    });
  }
  if (!old.isFile()) {
    throw new SparsebakError('target', `${path} is no regular file`, {
      hint: 'A block device is written in place with --to PATH --force.',
    });
  }
  // A running qube of Qubes writes to the file beside it, and puts that in its place when it stops.
  const dirty = name.endsWith('.img') && lookAt(path.replace(/\.img$/, '-dirty.img')) !== undefined;
  const use = dirty ? 'its qube runs' : await findFileUser(path);
  if (use === undefined) return old;
  throw new SparsebakError('target', `${path} cannot be replaced: ${use}`, {
    hint: 'Shut the qube down, or close the file; or restore to another one with --as NAME.',
  });
}
