/**
 * What became of a send: the question after a crash on either side. Its answer is what dom0 builds on, so it is made
 * durable first.
 */
import { join } from 'node:path';
import type { PairingId } from '../../../../shared/archive/names.ts';
import { Refusal, attemptAsync } from '../../refusal.ts';
import type { Resolution, StoredHead } from '../../store.ts';
import { readCheckpoint } from './checkpoint.ts';
import { MAX_SMALL } from '../layout/max-lengths.ts';
import { HEAD } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { newestVisible, type StoredSession } from '../layout/sessions.ts';
import { readSmall } from '../disk/small-file.ts';
import { UnfinishedSend } from './unfinished-sends.ts';

export async function resolveSend(place: VolumePlace, pairing: PairingId, resume: boolean): Promise<Resolution> {
  const { disk, id, volume, volumeName, readers } = place;
  return await attemptAsync(`resolve a send in ${volumeName}`, async () => {
    const kind = disk.kindOf(volume);
    if (kind !== undefined && kind !== 'folder') throw new Refusal('io', `${volumeName} is no folder`);
    if (kind === undefined) return { newest: undefined, checkpoint: undefined };
    const checkpoint = await keepOnly(place, resume ? pairing : undefined);
    // Behind the senders' locks: one that we waited for may have committed.
    readers.forget(id);
    const newest = newestVisible((await readers.get(id))?.sessions ?? []);
    // Whoever renamed it may have been killed before that was durable.
    disk.syncFolder(volume);
    return { newest: newest === undefined ? undefined : readHead(place, newest), checkpoint };
  });
}

/** Removes all unfinished sends but that one, if it has a checkpoint: gives its address. */
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

export function readHead(
  { disk, volumeName }: Pick<VolumePlace, 'disk' | 'volumeName'>,
  { session, path }: StoredSession,
): StoredHead {
  const name = `${volumeName}/${session}/${HEAD}`;
  const data = readSmall(disk, join(path, HEAD), name, MAX_SMALL);
  if (data === undefined) throw new Refusal('io', `${name} is missing`);
  if (data.length === 0) throw new Refusal('io', `${name} is empty`);
  return { session, data };
}
