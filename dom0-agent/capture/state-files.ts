/**
 * The file operations that dom0's state is made of, as an interface: tests fail and cut each of them.
 * A call that throws may have done its work or not; what was there before is then either still there or replaced whole.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { makeFolderDurably, removeDurably, writeDurablyAsync } from '../../shared/durable.ts';
import { asSparsebakError, systemCode, type SparsebakError } from '../../shared/errors.ts';

export interface StateFiles {
  /** The content; undefined where there is no such file. */
  read(path: string): Uint8Array | undefined;
  /** Names in a folder; none where there is no such folder. */
  list(folder: string): string[];
  makeFolder(path: string): void;
  /** Replaces the file; durable when it is done. Others may be written meanwhile, not this one. */
  write(path: string, content: Uint8Array | string): Promise<void>;
  /** Removes the file; durable when it returns. */
  remove(path: string): void;
  /** Removes a file that nothing names: whether a power cut brings it back does not matter. */
  discard(path: string): void;
  /** Removes an empty folder; one that has entries stays. */
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
