/**
 * A pool that is a folder: which files in it are volumes. Their names are paths relative to it.
 */
import type { Dirent, Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { isLiteral, nameMatcher } from './glob.ts';
import type { FoundVolumes } from './source.ts';

/** Ours: snapshots. No pattern finds anything in it. */
export const OWN_FOLDER = '.sparsebak';

/** Throws for a name that is no path within the pool. */
export function checkVolumeName(name: string): void {
  const parts = name.split('/');
  const bad = parts.some((part) => part === '' || part === '.' || part === '..') || name.includes('\0');
  if (bad || parts[0] === OWN_FOLDER) {
    throw new SparsebakError('usage', `${JSON.stringify(name)} is not a path within the pool`);
  }
}

/**
 * What a `file-reflink` pool of Qubes keeps beside `private.img`, and what is gone or renamed at the qube's next start or stop:
 * found only under its full name. Each belongs to a volume that is there itself.
 */
const WORKING_FILE = /^(.*)-(?:dirty|precache|import)\.img$|^(.*)\.img(?:\.\d+@.*Z|.*~.*)$/s;

/** What a volume is called whose place a restored one took. */
export function replacedName(volume: string, seconds: number): string {
  return `${volume}.replaced-${seconds}`;
}

const REPLACED_FILE = /^(.*)\.replaced-\d+$/s;

/** Where a restore writes until its file gets its name. */
export const PARTIAL = '.sparsebak-partial-';

function isWorkingFile(name: string, all: ReadonlySet<string>): boolean {
  if (name.includes(PARTIAL)) return true;
  const [, replaced] = REPLACED_FILE.exec(name) ?? [];
  if (replaced !== undefined) return all.has(replaced);
  const [, beside, before] = WORKING_FILE.exec(name) ?? [];
  const volume = beside ?? before;
  return volume !== undefined && all.has(`${volume}.img`);
}

export interface Listing {
  readonly folder: string;
  readonly patterns: readonly string[];
  readonly excludes: readonly string[];
  /** What this name stands for; asked for names that match. */
  readonly judge: (name: string) => Promise<Judgement>;
}

/** What a name in a pool's folder stands for. */
export type Judgement =
  { readonly kind: 'volume' } | { readonly kind: 'missing' } | { readonly kind: 'left out'; readonly reason: string };

/** A folder is read only if a pattern asks for it. */
export async function listVolumes({ folder, patterns, excludes, judge }: Listing): Promise<FoundVolumes> {
  const found = new Set<string>();
  for (const name of patterns.filter(isLiteral)) if (isNameInPool(name)) found.add(name);
  const globs = patterns.filter((pattern) => !isLiteral(pattern));
  if (globs.length > 0) {
    const all = new Set(await walk(folder, ''));
    const matches = nameMatcher(globs, []);
    for (const name of all) if (matches(name) && !isWorkingFile(name, all)) found.add(name);
  }
  const excluded = nameMatcher(excludes, []);
  const names = [...found].filter((name) => !excluded(name)).sort();
  const judged = await Promise.all(names.map(async (name) => ({ name, judgement: await judge(name) })));
  return {
    volumes: judged.filter(({ judgement }) => judgement.kind === 'volume').map(({ name }) => name),
    leftOut: judged.flatMap(({ name, judgement }) =>
      judgement.kind === 'left out' ? [{ name, reason: judgement.reason }] : [],
    ),
  };
}

/** What a file system has under a name, in words; undefined for a regular file. */
export function specialKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  if (stats.isBlockDevice()) return 'a block device';
  if (stats.isCharacterDevice()) return 'a character device';
  return stats.isSymbolicLink() ? 'a symbolic link' : 'no regular file';
}

/** For a name whose lstat or stat failed. */
export function unreadable(error: unknown): Judgement {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' };
  return { kind: 'left out', reason: `it cannot be looked at (${code ?? String(error)})` };
}

function isNameInPool(name: string): boolean {
  try {
    checkVolumeName(name);
    return true;
  } catch {
    return false;
  }
}

async function walk(folder: string, within: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(folder, within)) {
    const name = within === '' ? entry.name : `${within}/${entry.name}`;
    if (name === OWN_FOLDER) continue;
    if (entry.isDirectory()) names.push(...(await walk(folder, name)));
    else names.push(name);
  }
  return names;
}

/** A folder may go while its parent is read; the pool's own must be there. */
async function entriesOf(folder: string, within: string): Promise<Dirent[]> {
  try {
    return await readdir(join(folder, within), { withFileTypes: true });
  } catch (error) {
    if (within !== '' && systemCode(error) === 'ENOENT') return [];
    throw new SparsebakError('source', `${join(folder, within)}: cannot be read`, { cause: error });
  }
}

/** Throws unless the pool's folder is there: a pool that is not mounted must not look like one without volumes. */
export async function checkPoolFolder(folder: string): Promise<void> {
  const is = await stat(folder).catch((error: unknown) => {
    throw new SparsebakError('source', `${folder}: the pool is not there`, { cause: error });
  });
  if (!is.isDirectory()) throw new SparsebakError('config', `${folder}: a pool's path is a folder`);
}
