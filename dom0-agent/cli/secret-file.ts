/**
 * A file that a secret is written to: new, readable to nobody else, and through one descriptor: its folder may be
 * somebody else's.
 */
import { closeSync, constants, fstatSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';
import { isSameFile, type FileIdentity, type Held } from '../source/held.ts';
import { openFolder } from '../source/walk.ts';
import { givenPath } from './working-folder.ts';

export interface SecretFile {
  /** Takes it away again, unless another file has its name. */
  remove(): Promise<void>;
}

/** @throws `usage` where the name is taken, or there is no such folder */
export async function checkSecretFile(path: string): Promise<void> {
  await within(path, (folder) => {
    if (folder.look(basename(path)) !== undefined) throw taken(path);
  });
}

/** Durable when it returns. @throws `usage` where it cannot be made */
export async function writeSecretFile(path: string, text: string): Promise<SecretFile> {
  const identity = await within(path, (folder) => {
    try {
      return write(folder, basename(path), text);
    } catch (error) {
      throw new SparsebakError('usage', plainText(error, path), { hint: 'Name another file.', cause: error });
    }
  });
  if (identity === undefined) {
    throw new SparsebakError('usage', `${path} is not the file that was written: its name was taken from it`, {
      hint: 'Somebody changes names in that folder. Name a file in one that only root can write to.',
    });
  }
  const remove = (): Promise<void> =>
    within(path, (folder) => {
      const there = folder.look(basename(path));
      if (there === undefined || !isSameFile(there, identity)) return;
      rmSync(folder.in(basename(path)), { force: true });
      folder.sync();
    });
  return { remove };
}

function write(folder: Held, name: string, text: string): FileIdentity | undefined {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(folder.in(name), flags, 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
    const identity = fstatSync(fd, { bigint: true });
    const there = folder.look(name);
    folder.sync();
    return there !== undefined && isSameFile(there, identity) ? identity : undefined;
  } finally {
    closeSync(fd);
  }
}

async function within<T>(path: string, work: (folder: Held) => T): Promise<T> {
  const folder = await openFolder(dirname(givenPath(path)), 'usage');
  try {
    return work(folder);
  } finally {
    folder.close();
  }
}

function taken(path: string): SparsebakError {
  return new SparsebakError('usage', `${path} exists already`, {
    hint: 'It is never overwritten: name another, or move it away.',
  });
}
