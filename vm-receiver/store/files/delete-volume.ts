/** Removes a volume: one rename hides it, and what is left is removed by the next process. */
import { join } from 'node:path';
import { Refusal, attemptAsync } from '../refusal.ts';
import { mustBeDeletable } from '../removal-rules.ts';
import { withExclusiveLock } from './layout/exclusive-lock.ts';
import type { Disk } from './disk/disk.ts';
import { VOLUMES, deletedFolder, isDeleted, isDropped, pairingOf, sessionOf } from './layout/paths.ts';
import type { ArchivePlace, VolumePlace } from './layout/volume-place.ts';
import { DedupStore } from './dedup/dedup-store.ts';
import { isProtected } from './layout/protection.ts';
import { removeSession, unlessRemoved } from './prune/removal.ts';
import { listSessions } from './layout/sessions.ts';
import { UnfinishedSend } from './send/unfinished-sends.ts';

/** Returns the bytes of removed files, 0 if there is no such volume. @throws Refusal `refused` */
export async function deleteVolume(place: VolumePlace): Promise<number> {
  const { disk, id, volume, volumeName, rules } = place;
  await attemptAsync(`delete ${volumeName}`, async () => {
    const standing = () =>
      listSessions(disk, volume, volumeName).map(({ session, path }) => ({
        session,
        protected: isProtected(disk, path),
      }));
    mustBeDeletable(id, standing(), rules);
    if (disk.kindOf(volume) === undefined) return;
    for await (const send of UnfinishedSend.claimAll(place)) await send.discard();
    await withExclusiveLock(place, 'delete', () => {
      mustBeDeletable(id, standing(), rules);
      if (disk.list(volume).some((folder) => pairingOf(folder) !== undefined)) {
        throw new Refusal('locked', `a send of ${volumeName} has begun meanwhile`, {
          hint: 'Wait for its end, and try again.',
        });
      }
      disk.rename(volume, join(place.archive, VOLUMES, deletedFolder(id)));
    });
  });
  return await finishDeleting(place);
}

/** Removes what is left of deleted volumes; returns the bytes of removed files. */
export async function finishDeleting({ disk, archive }: ArchivePlace): Promise<number> {
  return await attemptAsync('remove a deleted volume', async () => {
    const volumes = join(archive, VOLUMES);
    // The process that renamed it may have been killed before that was durable.
    disk.syncFolder(volumes);
    const dedupStore = DedupStore.open(disk, archive, false);
    let bytes = 0;
    for (const folder of disk.list(volumes).filter(isDeleted)) {
      const path = join(volumes, folder);
      if (disk.kindOf(path) !== 'folder') continue;
      bytes += (await unlessRemoved(disk, path, () => removeVolume(disk, path, dedupStore))) ?? 0;
    }
    return bytes;
  });
}

async function removeVolume(disk: Disk, volume: string, dedupStore: DedupStore | undefined): Promise<number> {
  let bytes = 0;
  for (const folder of disk.list(volume)) {
    const path = join(volume, folder);
    if ((sessionOf(folder) === undefined && !isDropped(folder)) || disk.kindOf(path) !== 'folder') continue;
    bytes += await removeSession(disk, path, dedupStore);
  }
  await disk.removeTree(volume);
  return bytes;
}
