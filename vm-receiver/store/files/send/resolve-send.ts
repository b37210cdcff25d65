/**
 * Answers how a send ended, after a crash on either side. dom0 relies on the answer, so everything is made durable
 * first.
 */
import type { PairingId } from '../../../../shared/archive/names.ts';
import { Refusal, attemptAsync } from '../../refusal.ts';
import type { Resolution } from '../../store.ts';
import { readCheckpoint } from './checkpoint.ts';
import { readHead } from '../layout/read-head.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { newestVisible } from '../layout/sessions.ts';
import { UnfinishedSend } from './unfinished-sends.ts';

export async function resolveSend(place: VolumePlace, pairing: PairingId, resume: boolean): Promise<Resolution> {
  const { disk, id, volume, volumeName, readers } = place;
  return await attemptAsync(`resolve a send in ${volumeName}`, async () => {
    const kind = disk.kindOf(volume);
    if (kind !== undefined && kind !== 'folder') throw new Refusal('io', `${volumeName} is not a folder`);
    if (kind === undefined) return { newest: undefined, checkpoint: undefined };
    const checkpoint = await keepOnly(place, resume ? pairing : undefined);
    // After taking the senders' locks: a sender that we waited for may have committed.
    readers.forget(id);
    const newest = newestVisible((await readers.get(id))?.sessions ?? []);
    // The process that renamed it may have been killed before that was durable.
    disk.syncFolder(volume);
    return { newest: newest === undefined ? undefined : readHead(place, newest), checkpoint };
  });
}

/** Removes all unfinished sends but that one, if it has a checkpoint: returns its address. */
async function keepOnly(place: VolumePlace, pairing: PairingId | undefined): Promise<number | undefined> {
  let kept: number | undefined;
  for await (const send of UnfinishedSend.claimAll(place)) {
    const mine = send.pairing === pairing;
    const checkpoint = mine ? send.during(() => readCheckpoint(place.disk, send.path)) : undefined;
    if (checkpoint === undefined) await send.discard();
    else send.release();
    kept ??= checkpoint?.address;
  }
  return kept;
}
