/** Estimates what pruning would free: the files of pruned sessions that their successor does not need. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { SessionName } from '../../../../shared/archive/names.ts';
import { attemptAsync } from '../../refusal.ts';
import { mustBePrunable } from '../../removal-rules.ts';
import { findChecksums } from '../layout/checksums.ts';
import type { Disk, Entry } from '../disk/disk.ts';
import { HEAD, INDEX, PAGE, firstAddressOf } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { isProtected } from '../layout/protection.ts';
import type { StoredSession } from '../layout/sessions.ts';
import { readSize } from '../layout/size-file.ts';
import type { VolumeReader } from '../layout/volume-reader.ts';

/** Bytes; undefined when there is no such volume. @throws Refusal `refused` as `prune` does */
export async function freedByPruning(place: VolumePlace, asked: readonly SessionName[]): Promise<number | undefined> {
  const { disk, archive, id, volumeName, rules, readers } = place;
  const weigh = async (reader: VolumeReader | undefined): Promise<number | undefined> => {
    const sessions = reader?.sessions.filter(({ hidden }) => !hidden) ?? [];
    if (sessions.length === 0) return undefined;
    const standing = sessions.map(({ session, path }) => ({ session, protected: isProtected(disk, path) }));
    mustBePrunable(id, standing, asked, rules);
    const goes = new Set(asked);
    const shared = new SharedFiles(DedupStore.open(disk, archive, false));
    let bytes = 0;
    for (const run of runs(sessions, goes)) bytes += await freedByRun(place, run, shared);
    return bytes;
  };
  return await attemptAsync(`weigh a prune of ${volumeName}`, () => readers.using(id, weigh));
}

/** Consecutive pruned sessions, newest first, after the kept one that takes over from them. */
interface Run {
  readonly successor: StoredSession;
  readonly pruned: readonly StoredSession[];
}

function* runs(sessions: readonly StoredSession[], goes: ReadonlySet<SessionName>): Generator<Run, void, undefined> {
  let pruned: StoredSession[] = [];
  for (const each of sessions) {
    if (goes.has(each.session)) pruned.unshift(each);
    else {
      if (pruned.length > 0) yield { successor: each, pruned };
      pruned = [];
    }
  }
}

/** Chunks with several names: freed when all of these are removed. */
class SharedFiles {
  readonly #gone = new Map<bigint, number>();
  readonly #dedupStore: DedupStore | undefined;

  constructor(dedupStore: DedupStore | undefined) {
    this.#dedupStore = dedupStore;
  }

  /** Counts a removed name of a file; returns the bytes that this frees. `sum`: its checksum, if one is known. */
  gone(entry: Entry | undefined, sum: string | undefined): number {
    if (entry === undefined) return 0;
    const { inode, size, links } = entry;
    if (links <= 1) return size;
    // More would not fit into memory; an estimate that is too low is harmless.
    if (this.#gone.size >= MAX_SHARED) return 0;
    const count = (this.#gone.get(inode) ?? 0) + 1;
    this.#gone.set(inode, count);
    // The store's own name is removed with the last other one.
    const names = sum !== undefined && this.#dedupStore?.has(sum, entry) === true ? links - 1 : links;
    return count === names ? size : 0;
  }
}

const MAX_SHARED = 200_000;

async function freedByRun({ disk }: VolumePlace, { successor, pruned }: Run, shared: SharedFiles): Promise<number> {
  const size = readSize(disk, successor.path);
  let bytes = 0;
  for (const { path } of pruned) for (const file of [HEAD, INDEX]) bytes += disk.entryAt(join(path, file))?.size ?? 0;
  const folders = new Set(pruned.flatMap(({ path }) => disk.list(path).filter((name) => RANGE_FOLDER_NAME.test(name))));
  for (const folder of folders) {
    const has = new Set(partsIn(disk, join(successor.path, folder)));
    for (const { path } of pruned) {
      const sums = findChecksums(disk, join(path, folder))?.sums;
      for (const name of partsIn(disk, join(path, folder))) {
        const address = name === PAGE ? firstAddressOf(folder) : parseInt(name, 16);
        if (address < size && !has.has(name)) has.add(name);
        else bytes += shared.gone(disk.entryAt(join(path, folder, name)), sums?.get(name));
      }
    }
    await nextTurn();
  }
  return bytes;
}

/** Names of chunks and the page; none if there is no such range. */
function partsIn(disk: Disk, folder: string): string[] {
  if (disk.kindOf(folder) !== 'folder') return [];
  return disk.list(folder).filter((name) => name === PAGE || CHUNK_FILE_NAME.test(name));
}
