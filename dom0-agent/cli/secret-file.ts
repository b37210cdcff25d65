/**
 * Writes a secret to a new file that only its owner can read, through one descriptor: its folder may belong to another
 * user.
 */
import { closeSync, constants, fstatSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';
import { isSameFile, type FileIdentity, type Held } from '../source/held-file.ts';
import { inFolderOf, writeAllOf } from './given-file.ts';

export interface SecretFile {
  /** Removes it again, unless another file has its name. */
  remove(): Promise<void>;
}

/** @throws `usage` if the name is taken, or there is no such folder */
export async function checkSecretFile(path: string): Promise<void> {
  await inFolderOf(path, (folder) => {
    if (folder.look(basename(path)) !== undefined) throw taken(path);
  });
}

/** Durable when it returns. @throws `usage` if it cannot be created */
export async function writeSecretFile(path: string, text: string): Promise<SecretFile> {
  const identity = await inFolderOf(path, (folder) => {
    try {
      return write(folder, basename(path), text);
    } catch (error) {
      throw new SparsebakError('usage', plainText(error, path), { hint: 'Name another file.', cause: error });
    }
  });
  if (identity === undefined) {
    throw new SparsebakError('usage', `${path} is not the file that was written: another process replaced it`, {
      hint: 'Another user or program changes files in that folder. Choose a folder that only root can write to.',
    });
  }
  const remove = (): Promise<void> =>
    inFolderOf(path, (folder) => {
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
    writeAllOf(fd, text);
    fsyncSync(fd);
    const identity = fstatSync(fd, { bigint: true });
    const there = folder.look(name);
    folder.sync();
    return there !== undefined && isSameFile(there, identity) ? identity : undefined;
  } finally {
    closeSync(fd);
  }
}

function taken(path: string): SparsebakError {
  return new SparsebakError('usage', `${path} exists already`, {
    hint: 'It is never overwritten: choose another name, or move it away.',
  });
}
