/**
 * Replaces and removes files, whatever has taken their place: a link or FIFO is treated like a file and never opened,
 * and a folder, whose content is unknown, is renamed.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../../../../shared/durable.ts';
import { systemCode } from '../../../../shared/errors.ts';

const { O_CREAT, O_EXCL, O_WRONLY } = fs.constants;

/** Errors if a folder is in a file's place: of rename(2), and of Node's own rm. */
const IS_FOLDER = new Set(['EISDIR', 'ERR_FS_EISDIR', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

/** Leaves the old content or the new, whatever happens; durable when it returns. A failed fsync is never retried. */
export function replaceFile(path: string, content: Uint8Array | string): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const draft = `${path}.new`;
  const fd = openDraft(draft);
  try {
    for (let written = 0; written < bytes.length;) written += fs.writeSync(fd, bytes, written);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  insteadOfFolder(path, () => {
    fs.renameSync(draft, path);
  });
  syncFolder(dirname(path));
}

/** Not durable by itself; the file need not exist. */
export function removeFile(path: string): void {
  insteadOfFolder(path, () => {
    fs.rmSync(path, { force: true });
  });
}

/** Never opens an existing file: opening a FIFO for writing may wait for ever. */
function openDraft(draft: string): number {
  const open = () => fs.openSync(draft, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    return open();
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    // Left by a killed writer.
    removeFile(draft);
    return open();
  }
}

function insteadOfFolder(path: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!IS_FOLDER.has(systemCode(error) ?? '') || !isFolder(path)) throw error;
    fs.renameSync(path, asideName(path));
    step();
  }
}

function isFolder(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The new name of an object that was in the place of one of the receiver's own files. */
export function asideName(path: string): string {
  return `${path}.aside-${randomBytes(4).toString('hex')}`;
}
