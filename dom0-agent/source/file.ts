/**
 * Any file or block device, read where it lies: nothing is frozen and nothing can be compared without reading it. If it
 * changes before it has been read, that shows, and the volume fails.
 */
import { constants, type BigIntStats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { asSparsebakError, SparsebakError, systemCode } from '../../shared/errors.ts';
import { deviceHistory, deviceNumber, deviceSize, findWriter, openExclusively } from './block-device.ts';
import { mappedRanges } from './extents.ts';
import { readExtentsTwice } from './filefrag.ts';
import { changesOf, checkUnchanged, settledState } from './live-file.ts';
import { isRunning, runningAmong } from './live-volume.ts';
import { listVolumes } from './list-volumes.ts';
import { ownershipOf } from './ownership.ts';
import { checkPoolFolder, checkVolumeName, specialKind, unreadable, type Judgement } from './pool-folder.ts';
import { restoreFile } from './restored-file.ts';
import type { Delta, FoundVolumes, Mapped, OpenSnapshot, Outcome, SnapshotRef, Source } from './source.ts';
import type { NewVolume, Target } from './target.ts';

export interface FilePool {
  /** The folder that volume names are relative to. */
  readonly path: string;
  /** Whether block devices are taken that something may be writing to. */
  readonly live: boolean;
}

export class FileSource implements Source {
  readonly kind = 'file';
  readonly frozen = false;
  readonly #folder: string;
  readonly #live: boolean;

  constructor({ path, live }: FilePool) {
    this.#folder = path;
    this.#live = live;
  }

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    await checkPoolFolder(this.#folder);
    return await listVolumes({ folder: this.#folder, patterns, excludes, judge: (name) => this.#judge(name) });
  }

  async #judge(name: string): Promise<Judgement> {
    try {
      const stats = await stat(join(this.#folder, name));
      const kind = specialKind(stats);
      if (kind === undefined || stats.isBlockDevice()) return { kind: 'volume' };
      return { kind: 'left out', reason: `it is ${kind}, and volumes are files and block devices` };
    } catch (error) {
      const judgement = unreadable(error);
      if (judgement.kind !== 'missing' || !(await isRunning(this.#folder, name))) return judgement;
      const reason =
        'its qube runs and writes to its only file: stop the qube, or use a pool of type "reflink", which captures it as it is';
      return { kind: 'left out', reason };
    }
  }

  async running(volumes: readonly string[]): Promise<ReadonlySet<string>> {
    return await runningAmong(this.#folder, volumes);
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    const outcomes = volumes.map(async (volume): Promise<[string, Outcome<SnapshotRef>]> => {
      try {
        return [volume, { ok: true, value: await this.#observe(volume) }];
      } catch (error) {
        return [volume, { ok: false, error: asSparsebakError(error, 'source', volume) }];
      }
    });
    return new Map(await Promise.all(outcomes));
  }

  async #observe(volume: string): Promise<SnapshotRef> {
    checkVolumeName(volume);
    const path = join(this.#folder, volume);
    const handle = await openToRead(path, volume);
    try {
      const stats = await handle.stat({ bigint: true });
      const common = { id: randomBytes(16).toString('hex'), time: Date.now(), state: 'stopped' } as const;
      if (stats.isBlockDevice()) {
        if (!this.#live) await checkUnused(path, volume, stats);
        const number = deviceNumber(stats);
        const binding = { path: volume, number, history: this.#live ? '' : await deviceHistory(number) };
        return { ...common, size: await deviceSize(number), binding };
      }
      if (!stats.isFile()) throw new SparsebakError('source', `${volume}: neither a file nor a block device`);
      const state = await settledState(handle, volume);
      return {
        ...common,
        size: Number(state.bytes),
        binding: { path: volume, ...state, ownership: ownershipOf(stats) },
      };
    } finally {
      await handle.close();
    }
  }

  /** Whether the file is still in the very state; a device has none that could be told again. */
  async exists(snapshot: SnapshotRef): Promise<boolean> {
    if (isDevice(snapshot)) return false;
    return (await changesOf(this.#pathOf(snapshot), snapshot.binding)) === undefined;
  }

  delta(): Promise<Delta> {
    return Promise.resolve({ kind: 'unknown', reason: 'a pool of type "file" keeps nothing to compare with' });
  }

  async mapped(snapshot: SnapshotRef): Promise<Mapped> {
    if (isDevice(snapshot)) return { kind: 'all' };
    try {
      const handle = await open(this.#pathOf(snapshot));
      try {
        const [extents] = (await readExtentsTwice([handle])) ?? [];
        const moved = (await changesOf(this.#pathOf(snapshot), snapshot.binding)) !== undefined;
        return extents === undefined || moved ? { kind: 'all' } : { kind: 'ranges', ranges: mappedRanges(extents) };
      } finally {
        await handle.close();
      }
    } catch {
      return { kind: 'all' };
    }
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    return isDevice(snapshot) ? await this.#openDevice(snapshot) : await this.#openFile(snapshot);
  }

  async #openFile(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    const path = this.#pathOf(snapshot);
    const check = (): Promise<void> => checkUnchanged(path, snapshotName(snapshot), snapshot.binding);
    await check();
    return { path, size: snapshot.size, close: check };
  }

  async #openDevice(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    const path = this.#pathOf(snapshot);
    const held = this.#live ? undefined : await openExclusively(path);
    if (held === 'in use') throw inUse(snapshotName(snapshot), 'it is mounted, or part of another device');
    try {
      await this.#checkDevice(path, snapshot);
    } catch (error) {
      await held?.close();
      throw error;
    }
    const close = async (): Promise<void> => {
      await held?.close();
      await this.#checkDevice(path, snapshot);
    };
    return { path, size: snapshot.size, close };
  }

  async #checkDevice(path: string, { binding, size }: SnapshotRef): Promise<void> {
    const name = String(binding.path);
    const number = deviceNumber(await stat(path, { bigint: true }));
    const history = this.#live ? '' : await deviceHistory(number);
    if (number !== binding.number || (await deviceSize(number)) !== size || history !== binding.history) {
      throw new SparsebakError('source', `${name}: the device changed while it was read`);
    }
    const writer = this.#live ? undefined : await findWriter(number);
    if (writer !== undefined) throw inUse(name, `${writer} has it open for writing`);
  }

  /** Nothing was made, so nothing has to go. */
  remove(): Promise<void> {
    return Promise.resolve();
  }

  async newVolume(volume: NewVolume): Promise<Target> {
    return await restoreFile({ path: this.#folder, followSymlinks: false }, volume);
  }

  leftovers(): Promise<SnapshotRef[]> {
    return Promise.resolve([]);
  }

  #pathOf(snapshot: SnapshotRef): string {
    checkVolumeName(snapshotName(snapshot));
    return join(this.#folder, snapshotName(snapshot));
  }
}

function snapshotName({ binding }: SnapshotRef): string {
  return String(binding.path);
}

function isDevice({ binding }: SnapshotRef): boolean {
  return binding.number !== undefined;
}

async function openToRead(path: string, volume: string): Promise<FileHandle> {
  try {
    // A FIFO without a writer would make us wait for one.

    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const gone = systemCode(error) === 'ENOENT';
    throw new SparsebakError(
      gone ? 'not-found' : 'source',
      `${volume}: ${gone ? 'there is no such file' : 'cannot be opened'}`,
      {
        cause: error,
      },
    );
  }
}

async function checkUnused(path: string, volume: string, stats: BigIntStats): Promise<void> {
  const held = await openExclusively(path);
  if (held === 'in use') throw inUse(volume, 'it is mounted, or part of another device');
  await held.close();
  const writer = await findWriter(deviceNumber(stats));
  if (writer !== undefined) throw inUse(volume, `${writer} has it open for writing`);
}

function inUse(volume: string, why: string): SparsebakError {
  return new SparsebakError('source', `${volume}: the device is in use: ${why}`, {
    hint: 'Unmount or close it, or accept a copy that may be inconsistent with live = true in the pool.',
  });
}
