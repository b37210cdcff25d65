/**
 * What takes up the disk, as the disk has it: every file is looked at, and nothing that was noted is believed.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SharedUsage, Usage } from '../../store.ts';
import type { Disk, Entry } from '../disk/disk.ts';
import { ifPossible } from '../disk/own-file.ts';
import type { DedupStore } from './dedup-store.ts';

type Tally = { -readonly [K in keyof Usage]: Usage[K] };

/**
 * Of folders and files with all that is in them. `isShared`: whether the deduplication store has a name of each shared
 * file, too.
 */
export async function usageOf(disk: Disk, paths: readonly string[], isShared: boolean): Promise<Usage> {
  const tally: Tally = { files: 0, bytes: 0, diskBytes: 0, sharedBytes: 0 };
  for (const path of paths) await add(disk, path, isShared ? 2 : 1, tally);
  return tally;
}

/** `alone`: names that a file has which nobody shares. */
async function add(disk: Disk, path: string, alone: number, tally: Tally): Promise<void> {
  const entry = disk.entryAt(path);
  if (entry?.kind === 'file') addFile(entry, alone, tally);
  if (entry?.kind !== 'folder') return;
  tally.diskBytes += entry.diskBytes;
  for (const name of disk.list(path)) await add(disk, join(path, name), alone, tally);
  await nextTurn();
}

function addFile({ size, links, diskBytes }: Entry, alone: number, tally: Tally): void {
  tally.files += 1;
  tally.bytes += size;
  if (links > alone) tally.sharedBytes += diskBytes;
  else tally.diskBytes += diskBytes;
}

/**
 * Of all that is in the deduplication store: what several chunks share is counted once, by the name that it has there.
 */
export async function sharedUsageOf(disk: Disk, dedupStore: DedupStore): Promise<SharedUsage> {
  let [diskBytes, savedBytes] = [0, 0];
  for (const paths of dedupStore.entries()) {
    for (const path of paths) {
      const entry = ifPossible(() => disk.entryAt(path));
      if (entry?.kind !== 'file') continue;
      const others = entry.links - 1;
      // What one chunk has is counted there; what none has any more, here.
      if (others !== 1) diskBytes += entry.diskBytes;
      savedBytes += Math.max(0, others - 1) * entry.diskBytes;
    }
    await nextTurn();
  }
  return { diskBytes, savedBytes };
}
