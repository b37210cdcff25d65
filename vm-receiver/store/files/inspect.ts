/**
 * A folder's files compared with the checksums beside them: a session's own, or one range's, which has 1025 files at the
 * most. What is wrong with the disk is a finding; that we are out of memory or handles is an error.
 */
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME } from '../../../shared/archive/address.ts';
import type { Problem } from '../store.ts';
import { readChecksums } from './checksums.ts';
import { hashFile } from './compare.ts';
import type { Disk } from './disk.ts';
import { maxLength } from './lengths.ts';
import { CHECKSUMS, HEAD, INDEX, PAGE, SIZE } from './paths.ts';
import { problemOf } from './problem.ts';

export interface Finding {
  /** Its name in the folder. */
  readonly file: string;
  readonly problem: Problem;
  /** What its checksum should be; undefined where none is known. */
  readonly sum: string | undefined;
}

/** What belongs into a folder, and what must be there. */
export interface Content {
  readonly belongs: (file: string) => boolean;
  readonly required: readonly string[];
}

const OF_SESSION = [HEAD, INDEX, SIZE];

export const SESSION: Content = { belongs: (file) => OF_SESSION.includes(file), required: OF_SESSION };
export const RANGE: Content = { belongs: (file) => file === PAGE || CHUNK_FILE_NAME.test(file), required: [] };

/** `after` is waited for behind each file that was read, with its bytes. */
export async function* inspectFolder(
  disk: Disk,
  folder: string,
  { belongs, required }: Content,
  after: (bytes: number) => void | Promise<void>,
): AsyncGenerator<Finding, void, undefined> {
  const { sums, finding } = checksumsOf(disk, folder);
  if (finding !== undefined) yield finding;
  if (sums === undefined) return;
  for (const [file, sum] of sums) {
    if (!belongs(file)) continue;
    const { problem, bytes } = inspectFile(disk, join(folder, file), sum);
    if (problem !== undefined) yield { file, problem, sum };
    if (bytes !== undefined) await after(bytes);
    await nextTurn();
  }
  const { files, problem } = listFolder(disk, folder);
  if (problem !== undefined) yield { file: '', problem, sum: undefined };
  const there = files.filter(belongs);
  for (const file of there) if (!sums.has(file)) yield { file, problem: 'unlisted', sum: undefined };
  for (const file of required)
    if (!sums.has(file) && !there.includes(file)) yield { file, problem: 'missing', sum: undefined };
}

/** One file of at most `max` bytes, and the bytes that were read of it; `sum` is undefined where none is known of it. */
export function inspectFile(
  disk: Disk,
  path: string,
  sum: string | undefined,
  max = maxLength(basename(path)),
): { readonly problem: Problem | undefined; readonly bytes: number | undefined } {
  try {
    if (disk.kindOf(path) === undefined)
      return { problem: sum === undefined ? undefined : 'missing', bytes: undefined };
    if (sum === undefined) return { problem: 'unlisted', bytes: undefined };
    const { digest, bytes } = hashFile(disk, path, max);
    return { problem: digest === sum ? undefined : 'different', bytes };
  } catch (error) {
    return { problem: problemOf(error), bytes: undefined };
  }
}

function checksumsOf(
  disk: Disk,
  folder: string,
): { readonly sums: ReadonlyMap<string, string> | undefined; readonly finding: Finding | undefined } {
  const found = (problem: Problem): Finding => ({ file: CHECKSUMS, problem, sum: undefined });
  try {
    const checksums = readChecksums(disk, folder, folder);
    if (checksums === undefined) return { sums: undefined, finding: found('missing') };
    return { sums: checksums.sums, finding: checksums.damaged ? found('different') : undefined };
  } catch (error) {
    return { sums: undefined, finding: found(problemOf(error)) };
  }
}

export function listFolder(
  disk: Disk,
  folder: string,
): { readonly files: string[]; readonly problem: Problem | undefined } {
  try {
    return { files: disk.list(folder), problem: undefined };
  } catch (error) {
    return { files: [], problem: problemOf(error) };
  }
}
