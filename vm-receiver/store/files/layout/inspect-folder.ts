/**
 * Compares a folder's files with the checksums beside them: a session's own, or those of a range, which has at most
 * 1025 files. Errors of the disk are reported as damage; lack of memory or handles is an error.
 */
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME } from '../../../../shared/archive/address.ts';
import type { DamageKind } from '../../store.ts';
import { readChecksums } from './checksums.ts';
import { hashFile } from './compare-files.ts';
import type { Disk } from '../disk/disk.ts';
import { maxLength } from './max-lengths.ts';
import { CHECKSUMS, HEAD, INDEX, PAGE, SIZE } from './paths.ts';
import { damageKindOf } from '../disk/read-error.ts';

export interface Finding {
  /** Its name in the folder. */
  readonly file: string;
  readonly kind: DamageKind;
  /** Its expected checksum; undefined if not known. */
  readonly sum: string | undefined;
}

/** Which files belong into a folder, and which must exist. */
export interface Content {
  readonly belongs: (file: string) => boolean;
  readonly required: readonly string[];
}

const OF_SESSION = [HEAD, INDEX, SIZE];

export const SESSION: Content = { belongs: (file) => OF_SESSION.includes(file), required: OF_SESSION };
export const RANGE: Content = { belongs: (file) => file === PAGE || CHUNK_FILE_NAME.test(file), required: [] };

/** `after` is awaited after each file that was read, with its bytes. */
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
    const { kind, bytes } = inspectFile(disk, join(folder, file), sum);
    if (kind !== undefined) yield { file, kind, sum };
    if (bytes !== undefined) await after(bytes);
    await nextTurn();
  }
  const { files, kind } = listFolder(disk, folder);
  if (kind !== undefined) yield { file: '', kind, sum: undefined };
  const there = files.filter(belongs);
  for (const file of there) if (!sums.has(file)) yield { file, kind: 'unlisted', sum: undefined };
  for (const file of required)
    if (!sums.has(file) && !there.includes(file)) yield { file, kind: 'missing', sum: undefined };
}

/** Checks one file of at most `max` bytes, and returns the bytes read; `sum` is undefined if not known. */
export function inspectFile(
  disk: Disk,
  path: string,
  sum: string | undefined,
  max = maxLength(basename(path)),
): { readonly kind: DamageKind | undefined; readonly bytes: number | undefined } {
  try {
    if (disk.kindOf(path) === undefined) return { kind: sum === undefined ? undefined : 'missing', bytes: undefined };
    if (sum === undefined) return { kind: 'unlisted', bytes: undefined };
    const { digest, bytes } = hashFile(disk, path, max);
    return { kind: digest === sum ? undefined : 'corrupt', bytes };
  } catch (error) {
    return { kind: damageKindOf(error), bytes: undefined };
  }
}

function checksumsOf(
  disk: Disk,
  folder: string,
): { readonly sums: ReadonlyMap<string, string> | undefined; readonly finding: Finding | undefined } {
  const found = (kind: DamageKind): Finding => ({ file: CHECKSUMS, kind, sum: undefined });
  try {
    const checksums = readChecksums(disk, folder, folder);
    if (checksums === undefined) return { sums: undefined, finding: found('missing') };
    return { sums: checksums.sums, finding: checksums.damaged ? found('corrupt') : undefined };
  } catch (error) {
    return { sums: undefined, finding: found(damageKindOf(error)) };
  }
}

export function listFolder(
  disk: Disk,
  folder: string,
): { readonly files: string[]; readonly kind: DamageKind | undefined } {
  try {
    return { files: disk.list(folder), kind: undefined };
  } catch (error) {
    return { files: [], kind: damageKindOf(error) };
  }
}
