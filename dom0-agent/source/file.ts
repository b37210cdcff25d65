/**
 * Any file or block device, read in place: it is not frozen and cannot be compared without reading it. If it changes
 * before it has been read completely, that is detected, and the volume fails.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import { mappedRanges } from './extents.ts';
import { readExtentsTwice } from './filefrag.ts';
import type { Held } from './held-file.ts';
import { listVolumes } from './list-volumes.ts';
import { observeDevice, openDeviceInPlace } from './live-device.ts';
import { changesOf, lookInPlace, openInPlace, settledState } from './live-file.ts';
import { isRunning, runningAmong } from './live-volume.ts';
import { withPool, type OpenPool, type PoolFolder } from './open-pool.ts';
import { occupiedBytes } from './disk-usage.ts';
import { ownershipOf } from './ownership.ts';
import { checkVolumeName, specialKind, unreadable, type Judgement } from './pool-folder.ts';
import { restoreFile } from './restored-file.ts';
import type { Delta, FoundVolumes, Mapped, OpenSnapshot, Outcome, SnapshotRef, Source } from './source.ts';
import type { NewVolume, Target } from './target.ts';

export interface FilePool {
  /** The folder that volume names are relative to. */
  readonly path: string;
  /** Whether block devices that may be written to meanwhile are accepted. */
  readonly live: boolean;
  /** Whether trusted symbolic links are followed; by default not. */
  readonly follow_symlinks?: boolean;
}

export class FileSource implements Source {
  readonly kind = 'file';
  readonly frozen = false;
  readonly #pool: PoolFolder;
  readonly #live: boolean;

  constructor({ path, live, follow_symlinks: followSymlinks = false }: FilePool) {
    this.#pool = { path, followSymlinks };
    this.#live = live;
  }

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    return await withPool(this.#pool, (pool) =>
      listVolumes({ pool, patterns, excludes, judge: (name) => judge(pool, name) }),
    );
  }

  place(volume: string): string {
    return join(this.#pool.path, volume);
  }

  async running(volumes: readonly string[]): Promise<ReadonlySet<string>> {
    return await withPool(this.#pool, (pool) => runningAmong(pool, volumes));
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    return await withPool(this.#pool, async (pool) => {
      const outcomes = volumes.map(async (volume): Promise<[string, Outcome<SnapshotRef>]> => {
        try {
          return [volume, { ok: true, value: await this.#observe(pool, volume) }];
        } catch (error) {
          return [volume, { ok: false, error: asSparsebakError(error, 'source', volume) }];
        }
      });
      return new Map(await Promise.all(outcomes));
    });
  }

  async #observe(pool: OpenPool, volume: string): Promise<SnapshotRef> {
    checkVolumeName(volume);
    const found = await pool.find(volume);
    if (found.kind === 'missing') throw new SparsebakError('not-found', `${volume}: there is no such file`);
    if (found.kind === 'left out') throw new SparsebakError('source', `${volume}: ${found.reason}`);
    const { held } = found;
    try {
      const observed = held.stats.isBlockDevice()
        ? await observeDevice(held, volume, this.#live)
        : await observeFile(held, volume);
      return { id: randomBytes(16).toString('hex'), time: Date.now(), state: 'stopped', ...observed };
    } finally {
      held.close();
    }
  }

  /** Whether the file is still in this state; a device has no state that could be recognised. */
  async exists(snapshot: SnapshotRef): Promise<boolean> {
    if (isDevice(snapshot)) return false;
    return changesOf(await lookInPlace(this.#pool, volumeOf(snapshot)), snapshot.binding) === undefined;
  }

  delta(): Promise<Delta> {
    return Promise.resolve({ kind: 'unknown', reason: 'a pool of type "file" keeps nothing to compare with' });
  }

  async mapped(snapshot: SnapshotRef): Promise<Mapped> {
    if (isDevice(snapshot)) return { kind: 'all' };
    try {
      const handle = await withPool(this.#pool, (pool) => pool.openFile(volumeOf(snapshot)));
      if (handle === undefined) return { kind: 'all' };
      try {
        const [extents] = (await readExtentsTwice([handle])) ?? [];
        const moved = changesOf(await handle.stat({ bigint: true }), snapshot.binding) !== undefined;
        return extents === undefined || moved ? { kind: 'all' } : { kind: 'ranges', ranges: mappedRanges(extents) };
      } finally {
        await handle.close();
      }
    } catch {
      return { kind: 'all' };
    }
  }

  async occupied(snapshot: SnapshotRef): Promise<number | undefined> {
    if (isDevice(snapshot)) return undefined;
    const stats = await lookInPlace(this.#pool, volumeOf(snapshot));
    return stats === undefined ? undefined : occupiedBytes(stats);
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    const volume = volumeOf(snapshot);
    if (!isDevice(snapshot)) return await openInPlace(this.#pool, volume, snapshot);
    return await openDeviceInPlace(this.#pool, volume, snapshot, this.#live);
  }

  /** No snapshot was made, so none has to be removed. */
  remove(): Promise<void> {
    return Promise.resolve();
  }

  async newVolume(volume: NewVolume): Promise<Target> {
    return await restoreFile(this.#pool, volume);
  }

  leftovers(): Promise<SnapshotRef[]> {
    return Promise.resolve([]);
  }
}

async function judge(pool: OpenPool, name: string): Promise<Judgement> {
  try {
    const found = await pool.find(name);
    if (found.kind === 'left out') return found;
    if (found.kind === 'found') {
      found.held.close();
      const kind = specialKind(found.held.stats);
      if (kind === undefined || found.held.stats.isBlockDevice()) return { kind: 'volume' };
      return { kind: 'left out', reason: `it is ${kind}, and volumes are files and block devices` };
    }
  } catch (error) {
    return unreadable(error);
  }
  if (!(await isRunning(pool, name))) return { kind: 'missing' };
  const reason =
    'its qube is running and writes to its only file: stop the qube, or use a pool of type "reflink", which captures ' +
    'it as it is';
  return { kind: 'left out', reason };
}

async function observeFile(file: Held, volume: string): Promise<Pick<SnapshotRef, 'size' | 'ownership' | 'binding'>> {
  if (!file.stats.isFile()) throw new SparsebakError('source', `${volume}: neither a file nor a block device`);
  const handle = await file.open(constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const state = await settledState(handle, volume);
    const ownership = ownershipOf(await handle.stat({ bigint: true }));
    return { size: Number(state.bytes), ownership, binding: { path: volume, ...state } };
  } finally {
    await handle.close();
  }
}

function volumeOf({ binding }: SnapshotRef): string {
  const volume = String(binding.path);
  checkVolumeName(volume);
  return volume;
}

function isDevice({ binding }: SnapshotRef): boolean {
  return binding.number !== undefined;
}
