/** Everything that lies in a pool's folder, by its names' bytes: what is not UTF-8 cannot be a volume's name, and is told. */
import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { OWN_FOLDER } from './pool-folder.ts';

/** Something that cannot be a volume whatever a pattern says. */
export interface Obstacle {
  /** For patterns: as near to the name as text comes. */
  readonly name: string;
  /** For people. */
  readonly shown: string;
  readonly reason: string;
  readonly isFolder: boolean;
}

export interface Walked {
  /** Of what is no folder: paths relative to the pool. */
  readonly names: readonly string[];
  readonly folders: readonly { readonly name: string; readonly shown: string }[];
  readonly obstacles: readonly Obstacle[];
}

/** @param enters whether a folder of this name is read */
export async function walkPool(pool: string, enters: (folder: string) => boolean): Promise<Walked> {
  const walked = {
    names: [] as string[],
    folders: [] as { name: string; shown: string }[],
    obstacles: [] as Obstacle[],
  };
  await walk(Buffer.from(pool), Buffer.alloc(0), enters, walked);
  return walked;
}

interface Walking {
  readonly names: string[];
  readonly folders: { name: string; shown: string }[];
  readonly obstacles: Obstacle[];
}

async function walk(pool: Buffer, within: Buffer, enters: (folder: string) => boolean, walked: Walking): Promise<void> {
  for (const entry of await entriesOf(pool, within, walked)) {
    const path = within.length === 0 ? entry.name : join(within, entry.name);
    const name = path.toString();
    if (name === OWN_FOLDER) continue;
    const fits = isUtf8(path);
    if (!entry.isDirectory()) {
      if (fits) walked.names.push(name);
      else walked.obstacles.push({ name, shown: escapeBytes(path), reason: 'its name is not UTF-8', isFolder: false });
      continue;
    }
    walked.folders.push({ name, shown: escapeBytes(path) });
    if (enters(name)) await walk(pool, path, enters, walked);
  }
}

function join(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), name]);
}

/** A folder may go while its parent is read; the pool's own must be there. */
async function entriesOf(pool: Buffer, within: Buffer, walked: Walking): Promise<Dirent<Buffer>[]> {
  const path = within.length === 0 ? pool : join(pool, within);
  try {
    return await readdir(path, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    const code = systemCode(error);
    if (within.length === 0) {
      throw new SparsebakError('source', `${path.toString()}: cannot be read`, { cause: error });
    }
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    const reason = `the folder cannot be read (${code ?? String(error)})`;
    walked.obstacles.push({ name: within.toString(), shown: escapeBytes(within), reason, isFolder: true });
    return [];
  }
}

/** UTF-8 as it is, and each other byte as `\xNN`. */
function escapeBytes(bytes: Buffer): string {
  let shown = '';
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((count) => at + count <= bytes.length && isUtf8(bytes.subarray(at, at + count)));
    shown +=
      length === undefined
        ? `\\x${(bytes[at] ?? 0).toString(16).padStart(2, '0')}`
        : bytes.subarray(at, at + length).toString();
    at += length ?? 1;
  }
  return shown;
}
