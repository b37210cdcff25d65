/**
 * The folder `.sparsebak` of a reflink pool: one file for each snapshot, named by its id and what was captured. A
 * snapshot is identified by the file system's UUID, its inode and the inode's birth time: a name alone proves nothing.
 *
 * The pool may belong to another user, so the folder is held, and must be one that no other user can read or change.
 */
import { chmodSync, constants, mkdirSync, readdirSync, rmSync, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';
import type { Held } from './held-file.ts';
import { withPool, type PoolFolder } from './open-pool.ts';
import { OWN_FOLDER } from './pool-folder.ts';
import type { RunningState, SnapshotRef } from './source.ts';

const SNAPSHOT_NAME = /^([0-9a-f]{32})\.(stopped|running)\.img$/;

export class SnapshotFolder {
  readonly #pool: PoolFolder;

  constructor(pool: PoolFolder) {
    this.#pool = pool;
  }

  /** The folder, created if necessary. The caller must close it. @throws `source` if others could change its content */
  async make(): Promise<Held> {
    return await withPool(this.#pool, async ({ root, path }) => {
      if (root.look(OWN_FOLDER) === undefined) {
        try {
          mkdirSync(root.in(OWN_FOLDER), { mode: 0o700 });
          root.sync();
        } catch (error) {
          throw new SparsebakError('source', `${plainText(error, path)}: no snapshot can be made there`, {
            hint: 'Mount the pool writable; or use type = "file", which needs no snapshots.',
            cause: error,
          });
        }
      }
      const folder = own(root, path);
      if (folder === undefined) throw new SparsebakError('source', `${join(path, OWN_FOLDER)} was created and is gone`);
      return Promise.resolve(folder);
    });
  }

  /** Undefined if there is none. */
  async #find(): Promise<Held | undefined> {
    return await withPool(this.#pool, ({ root, path }) => Promise.resolve(own(root, path)));
  }

  /** Seals a file: read-only and durable (its name is not durable yet). */
  async seal(folder: Held, { id, state }: Pick<SnapshotRef, 'id' | 'state'>, fileSystem: string): Promise<SnapshotRef> {
    const handle = await open(folder.in(fileName(id, state)), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await handle.chmod(0o400);
      await handle.sync();
      return describe(id, state, await handle.stat({ bigint: true }), fileSystem, Date.now());
    } finally {
      await handle.close();
    }
  }

  /** Opens this very snapshot, unchanged; undefined if it is gone or another. */
  async open(snapshot: SnapshotRef, fileSystem: string): Promise<FileHandle | undefined> {
    const name = nameOf(snapshot);
    const folder = name === undefined ? undefined : await this.#find();
    if (name === undefined || folder === undefined) return undefined;
    const file = folder.child(name);
    try {
      if (file === undefined || !isUnchanged(snapshot, file.stats, fileSystem)) return undefined;
      return await file.open(constants.O_RDONLY);
    } finally {
      file?.close();
      folder.close();
    }
  }

  async remove(snapshots: readonly SnapshotRef[], fileSystem: string): Promise<void> {
    const folder = await this.#find();
    if (folder === undefined) return;
    try {
      for (const snapshot of snapshots) {
        const name = nameOf(snapshot);
        const stats = name === undefined ? undefined : folder.look(name);
        if (name === undefined || stats === undefined || !isOurs(snapshot, stats, fileSystem)) continue;
        rmSync(folder.in(name), { force: true });
      }
      folder.sync();
    } finally {
      folder.close();
    }
  }

  async list(fileSystem: string): Promise<SnapshotRef[]> {
    const folder = await this.#find();
    if (folder === undefined) return [];
    try {
      return readdirSync(folder.path)
        .sort()
        .flatMap((name) => {
          const [, id, state] = SNAPSHOT_NAME.exec(name) ?? [];
          const stats = id === undefined ? undefined : folder.look(name);
          if (id === undefined || stats?.isFile() !== true) return [];
          return [describe(id, state as RunningState, stats, fileSystem, Number(stats.birthtimeMs))];
        });
    } finally {
      folder.close();
    }
  }
}

export function fileName(id: string, state: RunningState): string {
  return `${id}.${state}.img`;
}

/** Whether the reference is to a file in this folder at all. */
export function isSnapshotFile(snapshot: SnapshotRef): boolean {
  return nameOf(snapshot) !== undefined;
}

function nameOf({ binding: { file } }: SnapshotRef): string | undefined {
  return typeof file === 'string' && SNAPSHOT_NAME.test(file) ? file : undefined;
}

/** In a folder of another user, names could be exchanged, and a clone of root's file could be read for a moment. */
function own(root: Held, pool: string): Held | undefined {
  const folder = root.child(OWN_FOLDER);
  if (folder === undefined) return undefined;
  const { uid, mode } = folder.stats;
  const path = join(pool, OWN_FOLDER);
  if (folder.stats.isDirectory() && uid === BigInt(process.geteuid?.() ?? 0)) {
    if ((mode & 0o777n) !== 0o700n) chmodSync(folder.path, 0o700);
    return folder;
  }
  folder.close();
  throw new SparsebakError('source', `${path} is not a folder of this user, as that of snapshots must be`, {
    hint:
      'Check what it is. If the complete pool was given to another user, change its owner back with chown; ' +
      'otherwise move it away.',
  });
}

function describe(id: string, state: RunningState, stats: BigIntStats, fileSystem: string, time: number): SnapshotRef {
  const binding = {
    fileSystem,
    file: fileName(id, state),
    inode: String(stats.ino),
    born: String(stats.birthtimeNs),
    modified: String(stats.mtimeNs),
  };
  return { id, time, size: Number(stats.size), state, binding };
}

function isOurs({ binding }: SnapshotRef, stats: BigIntStats, fileSystem: string): boolean {
  return (
    stats.isFile() &&
    binding.fileSystem === fileSystem &&
    binding.inode === String(stats.ino) &&
    binding.born === String(stats.birthtimeNs)
  );
}

/** Whether it is ours, and was not written to since. */
function isUnchanged(snapshot: SnapshotRef, stats: BigIntStats, fileSystem: string): boolean {
  return (
    isOurs(snapshot, stats, fileSystem) &&
    snapshot.binding.modified === String(stats.mtimeNs) &&
    BigInt(snapshot.size) === stats.size
  );
}
