/**
 * Writes the page under its name only when it is complete. Its folder may belong to another user, so names are looked
 * up in the held folder, and no symbolic link is followed.
 */
import { closeSync, constants, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { SparsebakError, systemCode } from '../../../shared/errors.ts';
import { plainText } from '../../../shared/system-error.ts';
import { inFolderOf, writeAllOf } from '../../cli/given-file.ts';

/** @throws `usage` if the name is taken, or there is no such folder */
export async function checkPageFile(path: string, force: boolean): Promise<void> {
  await inFolderOf(path, (folder) => {
    if (!force && folder.look(basename(path)) !== undefined) throw taken(path);
  });
}

/** @throws `usage` if it cannot be created or, without `force`, the name is taken by now */
export async function writePageFile(path: string, text: string, force: boolean): Promise<void> {
  await inFolderOf(path, (folder) => {
    const draft = folder.in(`.${basename(path)}.${String(process.pid)}.partial`);
    try {
      writeNew(draft, text);
      if (force) renameSync(draft, folder.in(basename(path)));
      else linkSync(draft, folder.in(basename(path)));
      folder.sync();
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw taken(path);
      throw new SparsebakError('usage', plainText(error, path), { hint: 'Name another file.', cause: error });
    } finally {
      rmSync(draft, { force: true });
    }
  });
}

function writeNew(path: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  // Unlike keys it may be read by whom the umask allows: a user copies it into a disposable.
  const fd = openSync(path, flags, 0o666);
  try {
    writeAllOf(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function taken(path: string): SparsebakError {
  return new SparsebakError('usage', `${path} exists already`, { hint: 'Choose another name, or give --force.' });
}
