/**
 * Reflink copies of open files: all blocks shared, frozen in one step.
 */
import { constants } from 'node:fs';
import { copyFile, open, rm, type FileHandle } from 'node:fs/promises';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { pathOfDescriptor, type Held } from './held-file.ts';
import { runProgram } from '../process/run-program.ts';

export interface CloneJob {
  readonly source: FileHandle;
  /** No other user can change names in it. */
  readonly folder: Held;
  /** No file has this name yet. */
  readonly name: string;
}

/** `refused`: the file system can share blocks, but not this file's. Then no target file is left. */
export type Cloned =
  { readonly kind: 'cloned' } | { readonly kind: 'refused' } | { readonly kind: 'failed'; readonly error: unknown };

/**
 * Clones all files, as simultaneously as possible. Btrfs shares blocks only between files that are both NOCOW or both
 * not (be it by their own attribute, their folder's, or the mount option), and the attribute can be set only while a
 * file is empty; so refused files are tried again with the attribute, and again without it.
 */
export async function cloneAll(jobs: readonly CloneJob[]): Promise<Cloned[]> {
  const results = await Promise.all(jobs.map((job) => clone(job, constants.COPYFILE_EXCL)));
  for (const attribute of ['+C', '-C']) {
    const refused = jobs.flatMap((job, index) => (results[index]?.kind === 'refused' ? [{ job, index }] : []));
    if (refused.length === 0) break;
    const jobsRefused = refused.map(({ job }) => job);
    if (!(await makeEmpty(jobsRefused, attribute))) continue;
    await Promise.all(
      refused.map(async ({ job, index }) => {
        results[index] = await clone(job, 0);
      }),
    );
  }
  return results;
}

async function clone({ source, folder, name }: CloneJob, flag: number): Promise<Cloned> {
  const target = folder.in(name);
  try {
    // By descriptor: the name may belong to another file by now.

    await copyFile(pathOfDescriptor(source.fd), target, constants.COPYFILE_FICLONE_FORCE | flag);
    return { kind: 'cloned' };
  } catch (error) {
    await rm(target, { force: true });
    return systemCode(error) === 'EINVAL' ? { kind: 'refused' } : { kind: 'failed', error: explained(error) };
  }
}

function explained(error: unknown): unknown {
  const code = systemCode(error);
  if (code === 'EROFS') {
    return new SparsebakError('source', "the pool's file system is mounted read-only: no snapshot can be made", {
      cause: error,
      hint: 'Mount it writable; or use a pool of type "file", which needs no snapshots.',
    });
  }
  if (code !== 'EXDEV' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOTTY' && code !== 'ENOSYS')
    return error;
  return new SparsebakError('source', 'the file cannot share its blocks with a snapshot in the pool', {
    cause: error,
    hint: 'It is on another file system than the pool, or on one without reflinks: use a pool of type "file".',
  });
}

/** Creates empty files with the attribute; false if it cannot be set, and then they are removed again. */
async function makeEmpty(jobs: readonly CloneJob[], attribute: string): Promise<boolean> {
  try {
    for (const { folder, name } of jobs) await (await open(folder.in(name), 'wx', 0o600)).close();
    await runProgram('chattr', [attribute, '--', ...jobs.map(({ folder, name }) => folder.inForProgram(name))]);
    return true;
  } catch {
    await Promise.all(jobs.map(({ folder, name }) => rm(folder.in(name), { force: true })));
    return false;
  }
}
