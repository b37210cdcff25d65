/** Deduplicates stored chunks: range by range, by the checksums beside the chunks. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME } from '../../../../shared/archive/address.ts';
import { attemptAsync } from '../../refusal.ts';
import type { DedupCounts } from '../../store.ts';
import { withExclusiveLock } from '../layout/exclusive-lock.ts';
import { EMPTY_SUM, findChecksums } from '../layout/checksums.ts';
import type { Disk } from '../disk/disk.ts';
import { ifPossible, removeOwn } from '../disk/own-file.ts';
import { LINK } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { rangesOf } from '../layout/range-folders.ts';
import type { DedupStore } from './dedup-store.ts';
import { listSessions } from '../layout/sessions.ts';

/** Milliseconds for which others may have to wait at a time. */
const TURN = 2_000;

export type Tally = { -readonly [K in keyof DedupCounts]: DedupCounts[K] };

export function newTally(): Tally {
  return { chunks: 0, linked: 0, savedBytes: 0, copies: 0, repaired: 0 };
}

/** Deduplicates a session's folder, which no other process may touch meanwhile. */
export async function dedupSession(disk: Disk, dedupStore: DedupStore, session: string, tally: Tally): Promise<void> {
  for (const folder of rangesOf(disk, session)) {
    shareRange(disk, dedupStore, folder, tally);
    await nextTurn();
  }
}

/** Deduplicates all sessions of a volume. */
export async function dedupVolume(place: VolumePlace, dedupStore: DedupStore, tally: Tally): Promise<void> {
  const { disk, volume, volumeName } = place;
  let last = '';
  const turn = async (): Promise<boolean> => {
    const until = performance.now() + TURN;
    for (const { path } of listSessions(disk, volume, volumeName)) {
      for (const folder of rangesOf(disk, path).sort()) {
        if (folder <= last) continue;
        if (performance.now() > until) return false;
        shareRange(disk, dedupStore, folder, tally);
        last = folder;
        await nextTurn();
      }
    }
    return true;
  };
  while ((await withExclusiveLock(place, 'deduplicate', turn)) === false) await nextTurn();
}

function shareRange(disk: Disk, dedupStore: DedupStore, folder: string, tally: Tally): void {
  const sums = findChecksums(disk, folder)?.sums;
  for (const name of disk.list(folder)) {
    // Left by a link that was interrupted before it was renamed.
    if (name.endsWith(LINK)) removeOwn(disk, join(folder, name));
    const sum = sums?.get(name);
    if (sum === undefined || sum === EMPTY_SUM || !CHUNK_FILE_NAME.test(name)) continue;
    const shared = dedupStore.share(sum, join(folder, name));
    tally.chunks += 1;
    if (shared.kind === 'linked') {
      tally.linked += 1;
      tally.savedBytes += shared.bytes;
    }
    if (shared.kind === 'copy') tally.copies += 1;
    if (shared.kind === 'repaired') tally.repaired += 1;
  }
}

/**
 * Removes files from the deduplication store that no session has any more, left there by an interrupted send or
 * removal.
 */
export async function sweepDedupStore(disk: Disk, dedupStore: DedupStore): Promise<number> {
  return await attemptAsync('sweep the deduplication store', async () => {
    let bytes = 0;
    for (const paths of dedupStore.entries()) {
      for (const path of paths) {
        const entry = ifPossible(() => disk.entryAt(path));
        if (entry?.kind !== 'file' || entry.links > 1) continue;
        bytes += entry.size;
        removeOwn(disk, path);
      }
      await nextTurn();
    }
    return bytes;
  });
}
