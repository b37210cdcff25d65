/** Space on the disk, as the disk reports it: examines every file, and uses no records. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SharedUsage, Usage } from '../../store.ts';
import type { Disk, Entry } from '../disk/disk.ts';
import { ifPossible } from '../disk/own-file.ts';
import type { DedupStore } from './dedup-store.ts';

type Tally = { -readonly [K in keyof Usage]: Usage[K] };

/**
 * The usage of folders and files, recursively. `isShared`: whether the deduplication store has a name of each shared
 * file as well.
 */
export async function usageOf(disk: Disk, paths: readonly string[], isShared: boolean): Promise<Usage> {
  const tally: Tally = { files: 0, bytes: 0, diskBytes: 0, sharedBytes: 0 };
  for (const path of paths) await add(disk, path, isShared ? 2 : 1, tally);
  return tally;
}

/** `alone`: how many names an unshared file has. */
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

/** The usage of the deduplication store: a file that several chunks share is counted once, by its name there. */
export async function sharedUsageOf(disk: Disk, dedupStore: DedupStore): Promise<SharedUsage> {
  let [diskBytes, savedBytes] = [0, 0];
  for (const paths of dedupStore.entries()) {
    for (const path of paths) {
      const entry = ifPossible(() => disk.entryAt(path));
      if (entry?.kind !== 'file') continue;
      const others = entry.links - 1;
      // A file with one chunk is counted at the chunk; one without any, here.
      if (others !== 1) diskBytes += entry.diskBytes;
      savedBytes += Math.max(0, others - 1) * entry.diskBytes;
    }
    await nextTurn();
  }
  return { diskBytes, savedBytes };
}
