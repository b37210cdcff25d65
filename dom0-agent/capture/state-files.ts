/**
 * The file operations on dom0's state, as an interface, so that tests can fail and interrupt each of them. A call that
 * throws may or may not have done its work; the old content is then either still there or completely replaced.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { makeFolderDurably, removeDurably, writeDurablyAsync } from '../../shared/durable.ts';
import { asSparsebakError, systemCode, type SparsebakError } from '../../shared/errors.ts';

export interface StateFiles {
  /** The content; undefined if there is no such file. */
  read(path: string): Uint8Array | undefined;
  /** Names in a folder; empty if there is no such folder. */
  list(folder: string): string[];
  makeFolder(path: string): void;
  /** Replaces the file; durable when it is done. Other files may be written meanwhile, but not this one. */
  write(path: string, content: Uint8Array | string): Promise<void>;
  /** Removes the file; durable when it returns. */
  remove(path: string): void;
  /** Removes a file that no state names, not durably: it does not matter if a power cut brings it back. */
  discard(path: string): void;
  /** Removes a folder if it is empty. */
  removeFolder(path: string): void;
}

export const diskFiles: StateFiles = {
  read: (path) => unlessAbsent(path, () => readFileSync(path)),
  list: (folder) => unlessAbsent(folder, () => readdirSync(folder)) ?? [],
  makeFolder: (path) => attempt(path, () => makeFolderDurably(path)),
  async write(path, content) {
    try {
      await writeDurablyAsync(path, content);
    } catch (error) {
      throw failed(path, error);
    }
  },
  remove: (path) => attempt(path, () => removeDurably(path)),
  discard: (path) => attempt(path, () => rmSync(path, { force: true })),
  removeFolder(path) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? ''))
        throw asSparsebakError(error, 'io', path);
    }
  },
};

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failed(path, error);
  }
}

function failed(path: string, error: unknown): SparsebakError {
  return asSparsebakError(error, 'io', `dom0's state, ${path}`);
}

function unlessAbsent<T>(path: string, work: () => T): T | undefined {
  return attempt(path, () => {
    try {
      return work();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  });
}
