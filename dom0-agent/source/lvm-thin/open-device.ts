/** A snapshot as a device that can be read, for as long as it is read; a new volume as one that can be written to. */
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError, systemCode } from '../../../shared/errors.ts';
import { deviceNumber, deviceSize } from '../block-device.ts';
import type { OpenSnapshot } from '../source.ts';
import { activate, deactivate, type VolumeIdentity } from './lvm.ts';
import { deviceName } from './lvm-names.ts';

/** Where udev makes the nodes, they may come late. Milliseconds. */
const LATEST = 10_000;
const LOOK_AGAIN = 50;

/** Our descriptor keeps anyone from taking the device for one that a killed run left active. */
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
    if ((await deviceSize(number)) !== size) throw new SparsebakError('source', `${path} has another size than it had`);
    if (!readOnly) {
      throw new SparsebakError('source', `${path} can be written to`, {
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

/** A run beside us may take the device for idle until we have it open. */
async function openNode(path: string, flags: number, activateAgain: () => Promise<void>): Promise<FileHandle> {
  for (let waited = 0; ; waited += LOOK_AGAIN) {
    if (waited % 1000 === 0) await activateAgain();
    try {
      return await open(path, flags);
    } catch (error) {
      const late = systemCode(error) === 'ENOENT' || systemCode(error) === 'ENXIO';
      if (!late) throw error;
      if (waited >= LATEST) {
        throw new SparsebakError('source', `${path}: LVM activated it, and it is not there`, { cause: error });
      }
      await delay(LOOK_AGAIN);
    }
  }
}

/** By what the kernel itself says of the device that the path leads to. */
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
