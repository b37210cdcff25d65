/** Begins a send: checks the base and the free space, removes what dead senders left, and claims the folder. */
import { Refusal, attemptAsync } from '../../refusal.ts';
import type { SendRequest } from '../../store.ts';
import { checkBase } from './check-base.ts';
import { isOf, readCheckpoint } from './checkpoint.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { FilesSend } from './new-session.ts';
import { tryFinishPruning } from '../prune/prune-session.ts';
import { SpaceWatch } from '../disk/free-space.ts';
import { UnfinishedSend } from './unfinished-sends.ts';

export async function beginSend(place: VolumePlace, request: SendRequest): Promise<FilesSend> {
  const { disk, archive, volume, volumeName, floors } = place;
  return await attemptAsync(`begin a send in ${volumeName}`, async () => {
    const space = new SpaceWatch(disk, archive, floors);
    space.look();
    checkBase(place, request);
    // Made durable with everything else, before the first checkpoint or commit.
    if (disk.kindOf(volume) === undefined) disk.makeFolder(volume);
    await tryFinishPruning(place);
    await removeOthers(place, request);
    const folder = await (request.resume ? claim(place, request) : UnfinishedSend.make(place, request.pairing));
    try {
      // Checked again, since another sender may have committed during the wait.
      checkBase(place, request);
      return await open(place, request, folder, space);
    } catch (error) {
      if (!request.resume) await folder.discard();
      folder.release();
      throw error;
    }
  });
}

/** Removes unfinished sends of others, and our own unless it is resumed. */
async function removeOthers(place: VolumePlace, { pairing, resume }: SendRequest): Promise<void> {
  for await (const send of UnfinishedSend.claimAll(place)) {
    if (resume && send.pairing === pairing) send.release();
    else await send.discard();
  }
}

async function claim(place: VolumePlace, { pairing }: SendRequest): Promise<UnfinishedSend> {
  const found = await UnfinishedSend.claim(place, pairing);
  if (found === undefined) throw new Refusal('not-found', `there is no such send to resume in ${place.volumeName}`);
  return found;
}

async function open(
  place: VolumePlace,
  request: SendRequest,
  folder: UnfinishedSend,
  space: SpaceWatch,
): Promise<FilesSend> {
  if (!request.resume) {
    return new FilesSend(place, request, folder, space, undefined, { files: 0, zeros: 0, storedBytes: 0 });
  }
  const checkpoint = readCheckpoint(place.disk, folder.path);
  if (checkpoint === undefined) throw new Refusal('not-found', `${folder.name} has no checkpoint`);
  if (!isOf(checkpoint, request)) throw new Refusal('bad-request', `${folder.name} is a different send of the volume`);
  await folder.dropFrom(checkpoint.address);
  return new FilesSend(place, request, folder, space, checkpoint.address, await folder.count());
}
