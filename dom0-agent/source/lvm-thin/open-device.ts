/** Opens a snapshot as a readable device for as long as it is read, and a new volume as a writable one. */
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError, systemCode } from '../../../shared/errors.ts';
import { deviceNumber, deviceSize } from '../block-device.ts';
import type { OpenSnapshot } from '../source.ts';
import { activate, deactivate, type VolumeIdentity } from './lvm.ts';
import { deviceName } from './lvm-names.ts';

/** Milliseconds to wait for device nodes, which udev may create late. */
const LATEST = 10_000;
const LOOK_AGAIN = 50;

/** While our descriptor is open, no other run takes the device for one that a killed run left active. */
export async function openDevice(group: string, volume: VolumeIdentity, size: number): Promise<OpenSnapshot> {
  const path = `/dev/mapper/${deviceName(group, volume.name)}`;
  let handle: FileHandle | undefined;
  const close = async (): Promise<void> => {
    await handle?.close();
    handle = undefined;
    await deactivate(group, [volume]);
  };
  try {
    handle = await openNode(path, constants.O_RDONLY, () => activate(group, volume));
    const { number, readOnly } = await checkDevice(path, volume);
    if ((await deviceSize(number)) !== size) throw new SparsebakError('source', `${path} has changed its size`);
    if (!readOnly) {
      throw new SparsebakError('source', `${path} is writable`, {
        hint: 'Snapshots of sparsebak are read-only.',
      });
    }
    return { path, size, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

export interface WritableDevice {
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes. */
  readonly size: number;
}

/** Nothing can be mounted from it until the descriptor is closed. */
export async function openToWrite(group: string, volume: VolumeIdentity): Promise<WritableDevice> {
  const path = `/dev/mapper/${deviceName(group, volume.name)}`;
  const handle = await openNode(path, constants.O_RDWR | constants.O_EXCL, () => activate(group, volume));
  try {
    const { number } = await checkDevice(path, volume);
    return { path, handle, size: await deviceSize(number) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A concurrent run may take the device for idle until we have it open. */
async function openNode(path: string, flags: number, activateAgain: () => Promise<void>): Promise<FileHandle> {
  for (let waited = 0; ; waited += LOOK_AGAIN) {
    if (waited % 1000 === 0) await activateAgain();
    try {
      return await open(path, flags);
    } catch (error) {
      const late = systemCode(error) === 'ENOENT' || systemCode(error) === 'ENXIO';
      if (!late) throw error;
      if (waited >= LATEST) {
        throw new SparsebakError('source', `${path}: LVM activated it, but it does not exist`, { cause: error });
      }
      await delay(LOOK_AGAIN);
    }
  }
}

/** Checks by the kernel's own data about the device that the path leads to. */
async function checkDevice(
  path: string,
  { uuid, groupUuid }: VolumeIdentity,
): Promise<{ readonly number: string; readonly readOnly: boolean }> {
  const number = deviceNumber(await stat(path, { bigint: true }));
  const folder = `/sys/dev/block/${number}`;
  const expected = `LVM-${groupUuid}${uuid}`.replaceAll('-', '').replace(/^LVM/, 'LVM-');
  const found = (await readFile(`${folder}/dm/uuid`, 'utf8')).trim();
  if (found !== expected) throw new SparsebakError('source', `${path} is another volume: ${found}, not ${expected}`);
  return { number, readOnly: (await readFile(`${folder}/ro`, 'utf8')).trim() === '1' };
}
