/**
 * A folder on XFS or Btrfs whose files are the volumes. Snapshots are reflink copies in `.sparsebak`; comparing the
 * extents of two shows the changes between them.
 *
 * A file that cannot be cloned (NOCOW, if the attribute cannot be set) is read in place: its reference is bound to the
 * file's own state, it has no delta, and reading fails if the file changes.
 */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';
import { cloneAll, type Cloned } from './clone.ts';
import { changedRanges, mappedRanges, type ExtentList } from './extents.ts';
import { fileSystemOf, type FileSystem } from './file-system.ts';
import { readExtentsTwice, readGroupsTwice } from './filefrag.ts';
import { pathOfDescriptor, type Held } from './held-file.ts';
import { changesOf, lookInPlace, openInPlace, settledState } from './live-file.ts';
import { listVolumes } from './list-volumes.ts';
import { withPool, type PoolFolder } from './open-pool.ts';
import { checkPoolFolder } from './pool-folder.ts';
import { judgeLiveVolume, openLiveVolume, runningAmong, type LiveVolume } from './live-volume.ts';
import { occupiedBytes } from './disk-usage.ts';
import { ownershipOf } from './ownership.ts';
import { bytesIn, clip } from './byte-ranges.ts';
import { restoreFile } from './restored-file.ts';
import { fileName, isSnapshotFile, SnapshotFolder } from './snapshot-folder.ts';
import type {
  Delta,
  FoundVolumes,
  Mapped,
  OpenSnapshot,
  Outcome,
  RunningState,
  SnapshotRef,
  SnapshotPair,
  Source,
} from './source.ts';
import type { NewVolume, Target } from './target.ts';

export interface ReflinkPool {
  /** The folder that volume names are relative to. */
  readonly path: string;
  /** `running`: the file that a running qube writes to is captured. */
  readonly state: RunningState;
  /** Whether trusted symbolic links are followed; by default not. */
  readonly follow_symlinks?: boolean;
}

/** File systems whose extents are known to have the meaning that is needed here. */
const KNOWN_TYPES: ReadonlySet<string> = new Set(['xfs', 'btrfs']);

/** A balance or a defragmentation moves extents while they are listed. */
const TRIES = 4;

/** Pairs of snapshots that one filefrag lists. */
const PAIRS_AT_ONCE = 32;

/** A volume that is being captured. */
type Subject = LiveVolume & { readonly id: string };

export class ReflinkSource implements Source {
  readonly kind = 'reflink';
  readonly frozen = true;
  readonly #pool: PoolFolder;
  readonly #state: RunningState;
  readonly #snapshots: SnapshotFolder;
  #fileSystem: Promise<FileSystem> | undefined;

  constructor({ path, state, follow_symlinks: followSymlinks = false }: ReflinkPool) {
    this.#pool = { path, followSymlinks };
    this.#state = state;
    this.#snapshots = new SnapshotFolder(this.#pool);
  }

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    return await withPool(this.#pool, (pool) =>
      listVolumes({ pool, patterns, excludes, judge: (name) => judgeLiveVolume(pool, name) }),
    );
  }

  place(volume: string): string {
    return join(this.#pool.path, volume);
  }

  async running(volumes: readonly string[]): Promise<ReadonlySet<string>> {
    return await withPool(this.#pool, (pool) => runningAmong(pool, volumes));
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    await checkPoolFolder(this.#pool.path);
    const { uuid, type } = await this.#knownFileSystem();
    if (!KNOWN_TYPES.has(type)) {
      const message = `${this.#pool.path}: a pool of type "reflink" needs XFS or Btrfs, and this is ${type}`;
      throw new SparsebakError('config', message, { hint: 'Use type = "file".' });
    }
    const outcomes = new Map<string, Outcome<SnapshotRef>>();
    const fail = (volume: string, error: unknown): void => {
      outcomes.set(volume, { ok: false, error: asSparsebakError(error, 'source', volume) });
    };
    const folder = await this.#snapshots.make();
    const subjects = await this.#openAll(volumes, fail);
    try {
      const jobs = subjects.map(({ handle, id, state }) => ({ source: handle, folder, name: fileName(id, state) }));
      const results = await cloneAll(jobs);
      await Promise.all(
        subjects.map(async (subject, index) => {
          try {
            const snapshot = await this.#finish(folder, subject, results[index], uuid);
            outcomes.set(subject.volume, { ok: true, value: snapshot });
          } catch (error) {
            fail(subject.volume, error);
          }
        }),
      );
      folder.sync();
    } finally {
      await Promise.all(subjects.map(({ handle }) => handle.close()));
      folder.close();
    }
    return outcomes;
  }

  async #openAll(volumes: readonly string[], fail: (volume: string, error: unknown) => void): Promise<Subject[]> {
    return await withPool(this.#pool, async (pool) => {
      const subjects: Subject[] = [];
      for (const volume of new Set(volumes)) {
        try {
          const live = await openLiveVolume(pool, volume, this.#state);
          subjects.push({ ...live, id: randomBytes(16).toString('hex') });
        } catch (error) {
          fail(volume, error);
        }
      }
      return subjects;
    });
  }

  async #finish(folder: Held, subject: Subject, result: Cloned | undefined, uuid: string): Promise<SnapshotRef> {
    const { id, state, handle, name } = subject;
    if (result?.kind === 'failed') throw result.error;
    const ownership = ownershipOf(await handle.stat({ bigint: true }));
    if (result?.kind === 'cloned') return { ...(await this.#snapshots.seal(folder, subject, uuid)), ownership };
    const file = await settledState(handle, name);
    return {
      id,
      time: Date.now(),
      size: Number(file.bytes),
      state,
      ownership,
      binding: { fileSystem: uuid, live: name, ...file },
    };
  }

  async exists(snapshot: SnapshotRef): Promise<boolean> {
    const live = liveName(snapshot);
    if (live !== undefined) return changesOf(await lookInPlace(this.#pool, live), snapshot.binding) === undefined;
    const handle = await this.#openSnapshot(snapshot);
    await handle?.close();
    return handle !== undefined;
  }

  async delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta> {
    if (liveName(older) !== undefined || liveName(newer) !== undefined) {
      return { kind: 'unknown', reason: 'the file is NOCOW and could not be snapshotted' };
    }
    return await this.#withExtents([older, newer], (extents) => difference(extents, newer));
  }

  async *deltas(pairs: readonly SnapshotPair[]): AsyncGenerator<Delta | undefined, void, undefined> {
    for (let from = 0; from < pairs.length; from += PAIRS_AT_ONCE) {
      yield* await this.#deltasAtOnce(pairs.slice(from, from + PAIRS_AT_ONCE));
    }
  }

  /** The deltas of pairs that could be compared at the first try. A problem of one pair may concern all. */
  async #deltasAtOnce(pairs: readonly SnapshotPair[]): Promise<(Delta | undefined)[]> {
    const opened: { readonly pair: SnapshotPair; readonly handles: readonly FileHandle[] }[] = [];
    try {
      for (const pair of pairs) {
        const handles = await this.#openPair(pair);
        if (handles !== undefined) opened.push({ pair, handles });
      }
      const listings = await readGroupsTwice(opened.map(({ handles }) => handles));
      const found = new Map(opened.map(({ pair }, index) => [pair, listings[index]]));
      return pairs.map((pair) => {
        const extents = found.get(pair);
        return extents === undefined ? undefined : difference(extents, pair.newer);
      });
    } catch {
      return pairs.map(() => undefined);
    } finally {
      await Promise.all(opened.flatMap(({ handles }) => handles.map((handle) => handle.close())));
    }
  }

  /** Undefined unless both are existing snapshots of sparsebak's. */
  async #openPair({ older, newer }: SnapshotPair): Promise<readonly FileHandle[] | undefined> {
    const before = await this.#openSnapshot(older);
    if (before === undefined) return undefined;
    let after: FileHandle | undefined;
    try {
      after = await this.#openSnapshot(newer);
    } finally {
      if (after === undefined) await before.close();
    }
    return after === undefined ? undefined : [before, after];
  }

  async mapped(snapshot: SnapshotRef): Promise<Mapped> {
    if (liveName(snapshot) !== undefined) return { kind: 'all' };
    const mapped = await this.#withExtents([snapshot], ([extents]): Mapped => {
      return extents === undefined ? { kind: 'all' } : { kind: 'ranges', ranges: mappedRanges(extents) };
    });
    return mapped.kind === 'unknown' ? { kind: 'all' } : mapped;
  }

  async occupied(snapshot: SnapshotRef): Promise<number | undefined> {
    try {
      const handle = await this.#openSnapshot(snapshot);
      if (handle === undefined) return undefined;
      try {
        return occupiedBytes(await handle.stat({ bigint: true }));
      } finally {
        await handle.close();
      }
    } catch {
      return undefined;
    }
  }

  /** If the listing fails, nothing is known; the reason is returned. */
  async #withExtents<T>(
    snapshots: readonly SnapshotRef[],
    use: (extents: readonly ExtentList[]) => T,
  ): Promise<T | { kind: 'unknown'; reason: string }> {
    const handles: FileHandle[] = [];
    try {
      for (const snapshot of snapshots) {
        const handle = await this.#openSnapshot(snapshot);
        if (handle === undefined) return { kind: 'unknown', reason: `the snapshot ${snapshot.id} is gone` };
        handles.push(handle);
      }
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const extents = await readExtentsTwice(handles);
        if (extents !== undefined) return use(extents);
      }
      return { kind: 'unknown', reason: 'extents were being moved the whole time' };
    } catch (error) {
      return { kind: 'unknown', reason: plainText(error) };
    } finally {
      await Promise.all(handles.map((handle) => handle.close()));
    }
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    const live = liveName(snapshot);
    if (live !== undefined) return await openInPlace(this.#pool, live, snapshot);
    const handle = await this.#openSnapshot(snapshot);
    if (handle === undefined) throw gone(snapshot);
    const close = async (): Promise<void> => {
      await handle.close();
      if (!(await this.exists(snapshot))) throw gone(snapshot);
    };
    return { path: pathOfDescriptor(handle.fd), size: snapshot.size, close };
  }

  async remove(snapshots: readonly SnapshotRef[]): Promise<void> {
    const ours = snapshots.filter(isSnapshotFile);
    if (ours.length === 0) return;
    const { uuid } = await this.#knownFileSystem();
    await this.#snapshots.remove(ours, uuid);
  }

  async newVolume(volume: NewVolume): Promise<Target> {
    return await restoreFile(this.#pool, volume);
  }

  async leftovers(): Promise<SnapshotRef[]> {
    const { uuid } = await this.#knownFileSystem();
    return await this.#snapshots.list(uuid);
  }

  async #openSnapshot(snapshot: SnapshotRef): Promise<FileHandle | undefined> {
    const { uuid } = await this.#knownFileSystem();
    return await this.#snapshots.open(snapshot, uuid);
  }

  #knownFileSystem(): Promise<FileSystem> {
    return (this.#fileSystem ??= fileSystemOf(this.#pool.path));
  }
}

function difference([before, after]: readonly ExtentList[], newer: SnapshotRef): Delta {
  if (before === undefined || after === undefined) return { kind: 'unknown', reason: 'no listing' };
  const ranges = clip(changedRanges(before, after), newer.size);
  return { kind: 'ranges', ranges, bytes: bytesIn(ranges) };
}

/** The name of a file that is read in place; undefined for a real snapshot. */
function liveName({ binding: { live } }: SnapshotRef): string | undefined {
  return typeof live === 'string' ? live : undefined;
}

function gone(snapshot: SnapshotRef): SparsebakError {
  return new SparsebakError('source', `the snapshot ${snapshot.id} is gone, or was written to`);
}
