/**
 * A volume that a restore makes in a pool that is a folder: a new one, or one that replaces another, which gets another
 * name.
 */
import type { BigIntStats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { findQubesUse, findUse } from './file-users.ts';
import { isSameFile, type Held } from './held-file.ts';
import { newFile, type PutAside } from './new-file.ts';
import { ownershipOf } from './ownership.ts';
import { withPool, type PoolFolder } from './open-pool.ts';
import { checkMounted, checkVolumeName, replacedName } from './pool-folder.ts';
import { checkSpace } from './check-space.ts';
import { hintForTaken, type NewVolume, type Target } from './target.ts';

/** @throws `target` if it cannot be made, or the volume that it replaces is in use */
export async function restoreFile(pool: PoolFolder, volume: NewVolume): Promise<Target> {
  const { name, size, replaces, bytesIn } = volume;
  checkVolumeName(name);
  const path = join(pool.path, name);
  const openAgain = (): Promise<Held> => openParent(pool, name);
  const folder = await openAgain();
  try {
    if (!replaces) {
      if (folder.look(basename(name)) !== undefined) {
        throw new SparsebakError('target', `${path} exists already`, { hint: hintForTaken(volume) });
      }
      checkUnused(folder, path);
      await checkSpace(folder, path, size, bytesIn);
      const check = (): Promise<void> => {
        checkUnused(folder, path);
        return Promise.resolve();
      };
      return newFile({ folder, openAgain, path, size, there: 'refuse', check });
    }
    const old = await replaceable(folder, path);
    await checkSpace(folder, path, size, bytesIn);
    const check = async (): Promise<void> => {
      if (isSameFile(await replaceable(folder, path), old)) return;
      throw new SparsebakError('target', `${path} was replaced while it was restored`, {
        hint: 'Nothing was changed. Try again.',
      });
    };
    return newFile({ folder, openAgain, path, size, there: putAside(folder, old, volume), check });
  } catch (error) {
    folder.close();
    throw error;
  }
}

/** Only those who could read the archived file may read the new one: having the same name proves nothing. */
function putAside(folder: Held, file: BigIntStats, { name, ownership }: NewVolume): PutAside {
  let seconds = Math.floor(Date.now() / 1000);
  while (folder.look(basename(replacedName(name, seconds))) !== undefined) seconds++;
  return { file, keptAs: basename(replacedName(name, seconds)), likeIt: ownership === ownershipOf(file) };
}

/** The folder in the pool that contains a volume. */
export async function openParent(pool: PoolFolder, name: string): Promise<Held> {
  const path = join(pool.path, dirname(name));
  await checkMounted(path, 'target');
  const found = await withPool(pool, (open) => open.find(dirname(name)));
  if (found.kind === 'left out') {
    throw new SparsebakError('target', `${path} is not accepted: ${found.reason}`, { hint: 'Choose another name.' });
  }
  if (found.kind === 'found' && found.held.stats.isDirectory()) return found.held;
  if (found.kind === 'found') found.held.close();
  throw new SparsebakError('target', `${path} is not a folder`, { hint: 'Create it first, or choose another.' });
}

function checkUnused(folder: Held, path: string): void {
  const use = findQubesUse(folder, basename(path));
  if (use !== undefined) throw inUse(path, use);
}

function inUse(path: string, use: string): SparsebakError {
  return new SparsebakError('target', `${path} cannot be replaced: ${use}`, {
    hint:
      'Shut the qube down, close the file, or wait for the import to end; or restore to another one with ' +
      '--as NAME.',
  });
}

/** @throws unless it exists and is not in use */
async function replaceable(folder: Held, path: string): Promise<BigIntStats> {
  const name = basename(path);
  const old = folder.look(name);
  if (old === undefined) {
    checkUnused(folder, path);
    throw new SparsebakError('not-found', `there is no ${path} to be replaced`, {
      hint: 'Create it with --as and the same name.',
    });
  }
  if (!old.isFile()) {
    throw new SparsebakError('target', `${path} is ${old.isSymbolicLink() ? 'a symbolic link' : 'no regular file'}`, {
      hint: 'Restore with --to PATH to the object that it stands for: a device is written in place with --force.',
    });
  }
  const use = await findUse(folder, name, old);
  if (use !== undefined) throw inUse(path, use);
  return old;
}
