/**
 * Removes a session, in the steps of docs/format.md, section 11. Each step may be interrupted and repeated, also by
 * another process. The cost does not depend on the number of other sessions.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { SessionName } from '../../../../shared/archive/names.ts';
import { Refusal, attempt, attemptAsync } from '../../refusal.ts';
import { mustBePrunable } from '../../removal-rules.ts';
import { withExclusiveLock } from '../layout/exclusive-lock.ts';
import { findChecksums } from '../layout/checksums.ts';
import { inspectFile } from '../layout/inspect-folder.ts';
import { HEAD, droppedFolder, firstAddressOf, hiddenFolder, isDropped, sessionOf } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { isProtected } from '../layout/protection.ts';
import { RangeHandover, type Successors } from './range-handover.ts';
import { amountIn } from '../layout/session-amount.ts';
import { removeSession, unlessRemoved } from './removal.ts';
import { listSessions, type StoredSession } from '../layout/sessions.ts';
import { readSize } from '../layout/size-file.ts';
import { absorbStats } from '../layout/session-stats.ts';
import { Unsynced } from '../disk/unsynced.ts';

/** Milliseconds for which others may have to wait at a time. */
const TURN = 5_000;

/** Returns the bytes of removed files; undefined if there is no such session. @throws Refusal `refused` */
export async function pruneSession(place: VolumePlace, session: SessionName): Promise<number | undefined> {
  const isHidden = await withExclusiveLock(place, `prune ${session} of`, () => hide(place, session));
  const bytes = await finishPruning(place);
  return isHidden === true ? bytes : undefined;
}

/** Step 1: hides the session, which stays in the overlay. Returns whether there is such a session. */
function hide(place: VolumePlace, session: SessionName): boolean {
  const { disk, volume, volumeName, id, rules } = place;
  const sessions = listSessions(disk, volume, volumeName);
  const found = sessions.find((each) => each.session === session);
  if (found === undefined || found.hidden) return found !== undefined;
  const visible = sessions.filter(({ hidden }) => !hidden);
  const standing = visible.map((each) => ({ session: each.session, protected: isProtected(disk, each.path) }));
  mustBePrunable(id, standing, [session], rules);
  mustHaveNewestHead(place, visible);
  // Checked now, before there is no way back.
  heirsOf(place, visible, visible.indexOf(found));
  disk.rename(found.path, join(volume, hiddenFolder(session)));
  disk.syncFolder(volume);
  return true;
}

/**
 * Pruning must leave usable sessions: if a volume's newest head is damaged, only the older sessions can be restored.
 */
function mustHaveNewestHead({ disk, volumeName }: VolumePlace, visible: readonly StoredSession[]): void {
  const newest = visible.at(-1);
  if (newest === undefined) return;
  const { kind } = inspectFile(disk, join(newest.path, HEAD), findChecksums(disk, newest.path)?.sums.get(HEAD));
  // If its checksum is lost it may still be intact.
  const mayBeSound = kind === undefined || kind === 'unlisted';
  if (mayBeSound && disk.kindOf(join(newest.path, HEAD)) !== undefined) return;
  throw new Refusal(
    'refused',
    `${volumeName}/${newest.session}/${HEAD}, the head of the newest session, is damaged or missing`,
    {
      hint: 'Older sessions are not removed until it is restored, or its session is moved out of the archive.',
    },
  );
}

/** Finishes interrupted prunes, and one that was just begun; returns the bytes of removed files. */
export async function finishPruning(place: VolumePlace): Promise<number> {
  if (!hasRemains(place)) return 0;
  while ((await withExclusiveLock(place, 'prune', () => handOver(place))) === false) await nextTurn();
  return await removeDropped(place);
}

/** The same for other operations: a failure is ignored, and the next prune reports it. */
export async function tryFinishPruning(place: VolumePlace): Promise<void> {
  try {
    await finishPruning(place);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

function hasRemains({ disk, volume, volumeName }: VolumePlace): boolean {
  return attempt(`list ${volumeName}`, () => {
    if (disk.kindOf(volume) !== 'folder') return false;
    return disk.list(volume).some((folder) => sessionOf(folder)?.hidden === true || isDropped(folder));
  });
}

/** Steps 2 and 3 for the newest hidden session; returns whether there was none left. */
async function handOver(place: VolumePlace): Promise<boolean> {
  const { disk, volume, volumeName } = place;
  const sessions = listSessions(disk, volume, volumeName);
  const index = sessions.findLastIndex(({ hidden }) => hidden);
  const pruned = sessions[index];
  if (pruned === undefined) return true;
  const heirs = heirsOf(place, sessions, index);
  if (!(await move(heirs, performance.now() + TURN))) return false;
  absorbStats(disk, heirs, pruned.session, await amountIn(disk, pruned.path));
  disk.rename(pruned.path, join(volume, droppedFolder(pruned.session)));
  // After a power cut a part of it may be missing, and the rest must not look like a session that is still to be handed
  // over.
  disk.syncFolder(volume);
  return false;
}

/** The session at that place of the list, and its successor. */
function heirsOf(
  { disk, chunkSize, volumeName }: VolumePlace,
  sessions: readonly StoredSession[],
  index: number,
): Successors {
  const pruned = sessions[index];
  const successor = sessions[index + 1];
  if (pruned === undefined || successor === undefined) {
    throw new Refusal('io', `the newest session of ${volumeName} is hidden, as if it were being pruned`, {
      hint: 'Take ".pruning" off its folder’s name if it is to be the newest again.',
    });
  }
  const size = readSize(disk, successor.path);
  return { disk, chunkSize, pruned: pruned.path, successor: successor.path, size, isOldest: index === 0 };
}

/** Returns whether everything is done and durable; the rest is done in another turn when the time is up. */
async function move(heirs: Successors, until: number): Promise<boolean> {
  const { disk, pruned, successor, size } = heirs;
  const folders = disk.list(pruned).filter((name) => RANGE_FOLDER_NAME.test(name) && firstAddressOf(name) < size);
  const unsynced = new Unsynced(disk);
  for (const folder of folders) {
    new RangeHandover(heirs, folder).prepare(unsynced);
    await nextTurn();
  }
  // A file is never moved before its checksum line is durable, nor into a folder that a power cut could remove.
  await unsynced.sync(successor);
  for (const path of [pruned, successor]) unsynced.add(path);
  for (const folder of folders) {
    if (performance.now() > until) return false;
    new RangeHandover(heirs, folder).move(unsynced);
    await nextTurn();
  }
  await unsynced.sync(successor);
  return true;
}

/** Step 4. These files are in no overlay any more, so no other process has to wait. */
async function removeDropped({ disk, archive, volume, volumeName }: VolumePlace): Promise<number> {
  return await attemptAsync(`remove what was pruned of ${volumeName}`, async () => {
    const dedupStore = DedupStore.open(disk, archive, false);
    let bytes = 0;
    for (const folder of disk.kindOf(volume) === 'folder' ? disk.list(volume).filter(isDropped) : []) {
      const path = join(volume, folder);
      if (disk.kindOf(path) !== 'folder') continue;
      bytes += (await unlessRemoved(disk, path, () => removeSession(disk, path, dedupStore))) ?? 0;
    }
    return bytes;
  });
}
