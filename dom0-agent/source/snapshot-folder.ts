/**
 * The folder `.sparsebak` of a reflink pool: one file for each snapshot, named by its id and what was captured. A snapshot is
 * known again by the file system's UUID, its inode and when that was born: a name alone proves nothing.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { makeFolderDurably, syncFolder } from '../../shared/durable.ts';
import { systemCode } from '../../shared/errors.ts';
import { OWN_FOLDER } from './pool-folder.ts';
import type { RunningState, SnapshotRef } from './source.ts';

const SNAPSHOT_NAME = /^([0-9a-f]{32})\.(stopped|running)\.img$/;

export class SnapshotFolder {
  readonly path: string;

  constructor(pool: string) {
    this.path = join(pool, OWN_FOLDER);
  }

  make(): void {
    makeFolderDurably(this.path);
  }

  /** Makes what was created and removed here durable. */
  sync(): void {
    syncFolder(this.path);
  }

  fileFor(id: string, state: RunningState): string {
    return join(this.path, `${id}.${state}.img`);
  }

  /** Takes a file in: read-only and durable (its name is not, yet). @param ownership of what was captured, as `ownershipOf` writes it */
  async seal(id: string, state: RunningState, fileSystem: string, ownership: string): Promise<SnapshotRef> {
    const handle = await open(this.fileFor(id, state), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await handle.chmod(0o400);
      await handle.sync();
      const sealed = describe(id, state, await handle.stat({ bigint: true }), fileSystem, Date.now());
      return { ...sealed, binding: { ...sealed.binding, ownership } };
    } finally {
      await handle.close();
    }
  }

  /** The path of a snapshot's file, if it is a name of ours at all. */
  pathOf({ binding: { file } }: SnapshotRef): string | undefined {
    return typeof file === 'string' && SNAPSHOT_NAME.test(file) ? join(this.path, file) : undefined;
  }

  /** Opens this very snapshot, unchanged; undefined if it is gone or another. */
  async open(snapshot: SnapshotRef, fileSystem: string): Promise<FileHandle | undefined> {
    const path = this.pathOf(snapshot);
    if (path === undefined) return undefined;
    let handle: FileHandle;
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ELOOP') return undefined;
      throw error;
    }
    try {
      if (isUnchanged(snapshot, await handle.stat({ bigint: true }), fileSystem)) return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  async remove(snapshot: SnapshotRef, fileSystem: string): Promise<void> {
    const path = this.pathOf(snapshot);
    const stats = path === undefined ? undefined : await lstatIfThere(path);
    if (path !== undefined && stats !== undefined && isOurs(snapshot, stats, fileSystem))
      await rm(path, { force: true });
  }

  async list(fileSystem: string): Promise<SnapshotRef[]> {
    const snapshots: SnapshotRef[] = [];
    for (const name of await this.#names()) {
      const [, id, state] = SNAPSHOT_NAME.exec(name) ?? [];
      if (id === undefined) continue;
      const stats = await lstatIfThere(join(this.path, name));
      if (stats?.isFile() !== true) continue;
      snapshots.push(describe(id, state as RunningState, stats, fileSystem, Number(stats.birthtimeMs)));
    }
    return snapshots;
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.path)).sort();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

async function lstatIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function describe(id: string, state: RunningState, stats: BigIntStats, fileSystem: string, time: number): SnapshotRef {
  const binding = {
    fileSystem,
    file: `${id}.${state}.img`,
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

/** Ours, and nobody wrote to it since. */
function isUnchanged(snapshot: SnapshotRef, stats: BigIntStats, fileSystem: string): boolean {
  return (
    isOurs(snapshot, stats, fileSystem) &&
    snapshot.binding.modified === String(stats.mtimeNs) &&
    BigInt(snapshot.size) === stats.size
  );
}
