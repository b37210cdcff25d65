/**
 * Lists everything in a pool's folder, by the bytes of names: a name that is not UTF-8 cannot be a volume's, and is
 * reported.
 */
import { isUtf8 } from 'node:buffer';
import { readdirSync, statSync, type Dirent } from 'node:fs';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { isSameFile, type FileIdentity, type Held } from './held-file.ts';
import { NOT_FOLLOWED, type OpenPool } from './open-pool.ts';
import { OWN_FOLDER } from './pool-folder.ts';

/** An entry that cannot be a volume, whatever the patterns. */
export interface Obstacle {
  /** For matching patterns: the name as text, as exactly as possible. */
  readonly name: string;
  /** For display. */
  readonly shown: string;
  readonly reason: string;
  readonly isFolder: boolean;
}

export interface Walked {
  /** Entries that are not folders: paths relative to the pool. */
  readonly names: readonly string[];
  readonly folders: readonly { readonly name: string; readonly shown: string }[];
  readonly obstacles: readonly Obstacle[];
}

/** @param enters whether a folder of this name is read */
export async function walkPool(pool: OpenPool, enters: (folder: string) => boolean): Promise<Walked> {
  const walking = new Walking(pool, enters);
  await walking.read(pool.root, Buffer.alloc(0));
  return walking;
}

/** Each folder is held while it is read, so concurrent changes affect only the changed entries. */
class Walking implements Walked {
  readonly names: string[] = [];
  readonly folders: { name: string; shown: string }[] = [];
  readonly obstacles: Obstacle[] = [];
  readonly #pool: OpenPool;
  readonly #enters: (folder: string) => boolean;
  /** The folders that are being read, each inside the previous one. */
  readonly #within: FileIdentity[] = [];

  constructor(pool: OpenPool, enters: (folder: string) => boolean) {
    this.#pool = pool;
    this.#enters = enters;
  }

  async read(folder: Held, path: Buffer): Promise<void> {
    this.#within.push(folder.stats);
    for (const entry of this.#entriesOf(folder, path)) await this.#take(folder, entry, join(path, entry.name));
    this.#within.pop();
  }

  async #take(folder: Held, entry: Dirent<Buffer>, path: Buffer): Promise<void> {
    const name = path.toString();
    if (name === OWN_FOLDER) return;
    if (entry.isDirectory()) {
      await this.#enter(folder.child(entry.name), path);
    } else if (!isUtf8(path)) {
      const reason = 'its name is not UTF-8';
      this.obstacles.push({ name, shown: escapeBytes(path), reason, isFolder: false });
    } else if (entry.isSymbolicLink() && leadsToFolder(folder.in(entry.name.toString()))) {
      await this.#follow(name, path);
    } else {
      this.names.push(name);
    }
  }

  async #enter(folder: Held | undefined, path: Buffer): Promise<void> {
    if (folder === undefined) return;
    try {
      if (!folder.stats.isDirectory()) return;
      const name = path.toString();
      this.folders.push({ name, shown: escapeBytes(path) });
      if (this.#enters(name)) await this.read(folder, path);
    } finally {
      folder.close();
    }
  }

  /** A symbolic link to a folder. */
  async #follow(name: string, path: Buffer): Promise<void> {
    const hide = (reason: string): void => {
      this.obstacles.push({ name, shown: name, reason, isFolder: true });
    };
    if (!this.#pool.followsLinks) {
      hide(`it is a symbolic link to a folder, ${NOT_FOLLOWED}`);
      return;
    }
    const found = await this.#pool.find(name);
    if (found.kind === 'left out') hide(found.reason);
    if (found.kind !== 'found') return;
    const { held } = found;
    if (!this.#within.some((above) => isSameFile(above, held.stats))) {
      await this.#enter(held, path);
      return;
    }
    held.close();
    hide('it is a symbolic link to a folder that contains it');
  }

  /** A folder may disappear while its parent is read; the pool's own must exist. */
  #entriesOf(folder: Held, path: Buffer): Dirent<Buffer>[] {
    try {
      return readdirSync(folder.path, { withFileTypes: true, encoding: 'buffer' });
    } catch (error) {
      const code = systemCode(error);
      if (path.length === 0) {
        throw new SparsebakError('source', `${this.#pool.path}: cannot be read`, { cause: error });
      }
      if (code === 'ENOENT' || code === 'ENOTDIR') return [];
      const reason = `the folder cannot be read (${code ?? String(error)})`;
      this.obstacles.push({ name: path.toString(), shown: escapeBytes(path), reason, isFolder: true });
      return [];
    }
  }
}

function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, Buffer.from('/'), name]);
}

function leadsToFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    // A circle, or a target that may not be examined: treated as any other link.
    return false;
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
