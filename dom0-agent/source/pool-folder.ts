/** A pool that is a folder, and sparsebak's own names in it. Volumes are named by their paths relative to it. */
import type { StatsBase } from 'node:fs';
import { stat } from 'node:fs/promises';
import { unmountedPoint } from './mounts.ts';
import { dirtyName } from './qubes-images.ts';
import { SparsebakError, systemCode } from '../../shared/errors.ts';

/** The folder for snapshots. No pattern matches anything in it. */
export const OWN_FOLDER = '.sparsebak';

/** Throws for a name that is not a path within the pool. */
export function checkVolumeName(name: string): void {
  if (isNameInPool(name)) return;
  throw new SparsebakError('usage', `${JSON.stringify(name)} is not a path within the pool`);
}

export function isNameInPool(name: string): boolean {
  const parts = name.split('/');
  const bad = parts.some((part) => part === '' || part === '.' || part === '..') || name.includes('\0');
  return !bad && parts[0] !== OWN_FOLDER;
}

/** The name of a volume that a restored one replaced. */
export function replacedName(volume: string, seconds: number): string {
  return `${volume}.replaced-${seconds}`;
}

/** The name of a volume that is complete and will take the place of another. */
export function stagedName(volume: string, seconds: number): string {
  return `${volume}.restored-${seconds}`;
}

const REPLACED_FILE = /^(.*)\.(?:replaced|restored)-\d+$/s;

/** Prefix of the file that a restore writes until it gets its name. */
export const PARTIAL = '.sparsebak-partial-';

/** Own files beside a volume: those that a restore writes or has ready, or replaced while the new one exists. */
export function isOwnFile(name: string, all: ReadonlySet<string>): boolean {
  const [, replaced] = REPLACED_FILE.exec(name) ?? [];
  return (
    name.includes(PARTIAL) ||
    (replaced !== undefined && (all.has(replaced) || all.has(dirtyName(replaced) ?? replaced)))
  );
}

/** What a name in a pool's folder is. */
export type Judgement =
  { readonly kind: 'volume' } | { readonly kind: 'missing' } | { readonly kind: 'left out'; readonly reason: string };

/** The kind of a special file, in words; undefined for a regular file. */
export function specialKind(stats: StatsBase<bigint>): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  if (stats.isBlockDevice()) return 'a block device';
  if (stats.isCharacterDevice()) return 'a character device';
  return stats.isSymbolicLink() ? 'a symbolic link' : 'not a regular file';
}

/** For a name whose lstat or stat failed. */
export function unreadable(error: unknown): Judgement {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' };
  return { kind: 'left out', reason: `it cannot be examined (${code ?? String(error)})` };
}

/** Throws unless the pool's folder exists: a pool that is not mounted must not look like one without volumes. */
export async function checkPoolFolder(folder: string): Promise<void> {
  const is = await stat(folder).catch((error: unknown) => {
    throw new SparsebakError('source', `${folder}: the pool is not there`, { cause: error });
  });
  if (!is.isDirectory()) throw new SparsebakError('config', `${folder}: a pool's path must be a folder`);
  await checkMounted(folder, 'source');
}

/** @throws `source` or `target` if a mount point of fstab(5) above the folder is not mounted */
export async function checkMounted(folder: string, code: 'source' | 'target'): Promise<void> {
  const unmounted = await unmountedPoint(folder);
  if (unmounted === undefined) return;
  const what = code === 'source' ? 'the pool is not there' : 'nothing is restored to it';
  throw new SparsebakError(code, `${folder}: ${what}, since ${unmounted} is not mounted`, {
    hint: `/etc/fstab has it. Mount it: mount ${unmounted}`,
  });
}
