/** The exchange of two files in one folder of a pool. */
import { chmodSync, chownSync, linkSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import type { Exchange, VolumeNames } from './exchange.ts';
import { findUse } from './file-users.ts';
import { isSameFile, type Held } from './held-file.ts';
import type { PoolFolder } from './open-pool.ts';
import { replacedName, stagedName } from './pool-folder.ts';
import { precacheName } from './qubes-images.ts';
import { openParent } from './restored-file.ts';
import { attempt } from './target-error.ts';

export class FileExchange implements Exchange {
  readonly #pool: PoolFolder;

  constructor(pool: PoolFolder) {
    this.#pool = pool;
  }

  names(volume: string, seconds: number): { readonly staged: string; readonly kept: string } {
    return { staged: stagedName(volume, seconds), kept: replacedName(volume, seconds) };
  }

  async exists(name: string): Promise<boolean> {
    return await this.#in(name, (folder) => folder.look(basename(name)) !== undefined);
  }

  async use(name: string): Promise<string | undefined> {
    return await this.#in(name, async (folder) => {
      const stats = folder.look(basename(name));
      if (stats === undefined) return undefined;
      return stats.isFile() ? await findUse(folder, basename(name), stats) : 'it is not a regular file';
    });
  }

  async exchange({ name, incoming, keptAs }: VolumeNames): Promise<void> {
    const path = join(this.#pool.path, name);
    await this.#in(name, (folder) => {
      attempt(path, () => {
        exchangeIn(folder, { name: basename(name), incoming: basename(incoming), keptAs: basename(keptAs) }, path);
      });
    });
  }

  async remove(name: string): Promise<void> {
    if (!/\.(restored|replaced)-\d+$/.test(name)) throw new SparsebakError('failed', `${name} is not one of ours`);
    await this.#in(name, (folder) => {
      attempt(join(this.#pool.path, name), () => {
        rmSync(folder.in(basename(name)), { force: true });
        folder.sync();
      });
    });
  }

  async #in<T>(name: string, work: (folder: Held) => T | Promise<T>): Promise<T> {
    const folder = await openParent(this.#pool, name);
    try {
      return await work(folder);
    } finally {
      folder.close();
    }
  }
}

function exchangeIn(folder: Held, { name, incoming, keptAs }: VolumeNames, path: string): void {
  const fresh = folder.look(incoming);
  if (fresh === undefined) {
    if (folder.look(name) !== undefined) return;
    throw new SparsebakError('target', `${path} is missing, and so is ${incoming}, which should take its place`);
  }
  const old = folder.look(name);
  const kept = folder.look(keptAs);
  if (kept === undefined && old !== undefined) keep(folder, name, keptAs);
  const model = old ?? kept;
  if (model !== undefined) {
    chownSync(folder.in(incoming), Number(model.uid), Number(model.gid));
    chmodSync(folder.in(incoming), Number(model.mode) & 0o777);
  }
  folder.sync();
  renameSync(folder.in(incoming), folder.in(name));
  // Qubes would start with this copy of the old volume, if it had the same size and time.
  const precache = precacheName(name);
  if (precache !== undefined) rmSync(folder.in(precache), { force: true });
  folder.sync();
  const now = folder.look(name);
  if (now !== undefined && isSameFile(now, fresh)) return;
  throw new SparsebakError('target', `${path} was replaced by another program meanwhile`);
}

/** The old file has two names for a moment, so that its own is never missing. */
function keep(folder: Held, name: string, keptAs: string): void {
  try {
    linkSync(folder.in(name), folder.in(keptAs));
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(systemCode(error) ?? '')) throw error;
    renameSync(folder.in(name), folder.in(keptAs));
  }
}
