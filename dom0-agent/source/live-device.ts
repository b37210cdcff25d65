/** A block device that is read in place: nothing may write to it meanwhile, unless the pool allows that (live). */
import { constants, type BigIntStats } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';
import { deviceHistory, deviceNumber, deviceSize, findWriter, openExclusively } from './block-device.ts';
import { pathOfDescriptor, type Held } from './held-file.ts';
import { lookInPlace } from './live-file.ts';
import { withPool, type PoolFolder } from './open-pool.ts';
import type { OpenSnapshot, SnapshotRef } from './source.ts';

/** Observes what shows whether it is the same device in the same state. */
export async function observeDevice(
  device: Held,
  volume: string,
  live: boolean,
): Promise<Pick<SnapshotRef, 'size' | 'binding'>> {
  const number = deviceNumber(device.stats);
  if (!live) {
    const held = await openExclusively(device.path);
    if (held === 'in use') throw inUse(volume, 'it is mounted, or part of another device');
    await held.close();
    await checkWriters(number, volume);
  }
  const binding = { path: volume, number, history: live ? '' : await deviceHistory(number) };
  return { size: await deviceSize(number), binding };
}

export async function openDeviceInPlace(
  pool: PoolFolder,
  volume: string,
  snapshot: SnapshotRef,
  live: boolean,
): Promise<OpenSnapshot> {
  const found = await withPool(pool, (open) => open.find(volume));
  if (found.kind !== 'found') throw changed(volume);
  const opened = await (live ? found.held.open(constants.O_RDONLY) : openExclusively(found.held.path)).finally(() => {
    found.held.close();
  });
  if (opened === 'in use') throw inUse(volume, 'it is mounted, or part of another device');
  const check = async (): Promise<void> => {
    await checkState(await lookInPlace(pool, volume), volume, snapshot, live);
  };
  try {
    await checkState(found.held.stats, volume, snapshot, live);
  } catch (error) {
    await opened.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    await opened.close();
    await check();
  };
  return { path: pathOfDescriptor(opened.fd), size: snapshot.size, close };
}

async function checkState(
  now: BigIntStats | undefined,
  volume: string,
  { binding, size }: SnapshotRef,
  live: boolean,
): Promise<void> {
  if (now?.isBlockDevice() !== true) throw changed(volume);
  const number = deviceNumber(now);
  const history = live ? '' : await deviceHistory(number);
  if (number !== binding.number || (await deviceSize(number)) !== size || history !== binding.history) {
    throw changed(volume);
  }
  if (!live) await checkWriters(number, volume);
}

async function checkWriters(number: string, volume: string): Promise<void> {
  const writer = await findWriter(number);
  if (writer !== undefined) throw inUse(volume, `${writer} has it open for writing`);
}

function changed(volume: string): SparsebakError {
  return new SparsebakError('source', `${volume}: the device changed while it was read`, {
    hint: 'Nothing of it was backed up. Try again when nothing writes to it.',
  });
}

function inUse(volume: string, why: string): SparsebakError {
  return new SparsebakError('source', `${volume}: the device is in use: ${why}`, {
    hint: 'Unmount or close it, or accept a copy that may be inconsistent with live = true in the pool.',
  });
}
