/**
 * A sparse file that gets its name only when all of it is written, proven and durable. Until then it has a name of its own beside
 * it, which says which process writes it: an interrupted restore never looks like a finished one, two never write to one
 * file, and what a killed one left is found and removed.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../shared/durable.ts';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { PARTIAL } from './pool-folder.ts';
import type { Finished, Target } from './target.ts';
import { WriteBack } from './write-back.ts';

export interface NewFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * What becomes of a file that has the name. `refuse`: it stays, and the new one fails; `lose`: it is gone with the last
   * step; or the name that it gets then, in the same folder, and the new one has its owner and mode.
   */
  readonly there: 'refuse' | 'lose' | { readonly keptAs: string; readonly like: Pick<Stats, 'uid' | 'gid' | 'mode'> };
  /** What is looked at again just before the last step. */
  readonly check?: () => Promise<void>;
}

/** @throws `target` */
export function newFile({ path, size, there, check }: NewFile): Target {
  removeAbandoned(path);
  const partial = `${path}${PARTIAL}${process.pid}`;
  // Exclusively: what lies there is not ours, and may be a link to elsewhere.
  const fd = attempt(path, () => openSync(partial, 'wx', 0o600));
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  const abandon = (): void => {
    close();
    rmSync(partial, { force: true });
  };
  const writeBack = new WriteBack(fd);
  try {
    attempt(path, () => {
      ftruncateSync(fd, size);
      if (typeof there === 'string') return;
      fchownSync(fd, there.like.uid, there.like.gid);
      fchmodSync(fd, there.like.mode & 0o7777);
    });
  } catch (error) {
    abandon();
    throw error;
  }
  const finish = async (): Promise<Finished> => {
    try {
      await writeBack.end().catch((error: unknown) => {
        throw failed(path, error);
      });
      attempt(path, close);
      await check?.();
      return attempt(path, () => takeName(partial, path, there));
    } catch (error) {
      abandon();
      throw error;
    }
  };
  return {
    path: partial,
    wrote: (bytes) => {
      writeBack.wrote(bytes);
    },
    finish,
    abandon: async () => {
      rmSync(partial, { force: true });
      await writeBack.stop();
      abandon();
    },
  };
}

function takeName(partial: string, path: string, there: NewFile['there']): Finished {
  if (there === 'refuse') linkNew(partial, path);
  else if (there === 'lose') renameSync(partial, path);
  else {
    const kept = join(dirname(path), there.keptAs);
    // With two names for a moment, the old file's own is never missing.
    linkOrRename(path, kept);
    renameSync(partial, path);
    syncFolder(dirname(path));
    return { to: path, kept: { name: there.keptAs, removal: `rm ${kept}` } };
  }
  syncFolder(dirname(path));
  return { to: path };
}

/** Under a name that nothing has got meanwhile. */
function linkNew(partial: string, path: string): void {
  linkOrRename(partial, path);
  rmSync(partial, { force: true });
}

function linkOrRename(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // A file system without hard links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(systemCode(error) ?? '')) throw error;
    if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) throw error;
    renameSync(from, to);
  }
}

function removeAbandoned(path: string): void {
  const folder = dirname(path);
  const prefix = `${basename(path)}${PARTIAL}`;
  try {
    for (const name of readdirSync(folder)) {
      const owner = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      if (/^\d{1,10}$/.test(owner) && (owner === String(process.pid) || !existsSync(`/proc/${owner}`))) {
        rmSync(join(folder, name));
      }
    }
  } catch {
    // What stays costs only space; a folder that is not there shows next.
  }
}

export function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failed(path, error);
  }
}

export function failed(path: string, error: unknown): SparsebakError {
  const noSpace = systemCode(error) === 'ENOSPC';
  return new SparsebakError('target', `${basename(path)}: ${error instanceof Error ? error.message : String(error)}`, {
    hint: noSpace ? 'Free space there, or name another target.' : 'Check the folder and its permissions.',
    cause: error,
  });
}
