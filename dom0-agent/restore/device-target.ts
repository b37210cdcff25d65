/**
 * A block device to restore to: written in place, so it must be unused, and its old content is lost with the first
 * byte.
 */
import { constants, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { deviceNumber, deviceSize, findWriter } from '../source/block-device.ts';
import { pathOfDescriptor, type Held } from '../source/held-file.ts';
import { attempt, failed } from '../source/target-error.ts';
import type { Finished, Target } from '../source/target.ts';
import { WriteBack } from '../source/write-back.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

/**
 * @param path as the user knows it
 * @param size bytes
 * @throws `target` if it is in use, or too small
 */
export async function openDevice(device: Held, path: string, size: number): Promise<Target> {
  const number = deviceNumber(device.stats);
  const writer = await findWriter(number);
  if (writer !== undefined) throw inUse(path, `${writer} has it open for writing`);
  const handle = await device.open(constants.O_RDWR | constants.O_EXCL).catch((error: unknown) => {
    throw systemCode(error) === 'EBUSY'
      ? inUse(path, 'it is mounted, or part of another device', error)
      : failed(path, error);
  });
  const room = await deviceSize(number);
  if (room < size) {
    await handle.close();
    throw new SparsebakError('target', `${path} has ${room} bytes, the volume ${size}`, { hint: 'Make it larger.' });
  }
  return new DeviceTarget(handle, path, size);
}

class DeviceTarget implements Target {
  readonly #handle: FileHandle;
  readonly #name: string;
  readonly #size: number;
  readonly #writeBack: WriteBack;
  #isOpen = true;

  constructor(handle: FileHandle, name: string, size: number) {
    this.#handle = handle;
    this.#name = name;
    this.#size = size;
    this.#writeBack = new WriteBack(handle.fd);
  }

  get path(): string {
    return pathOfDescriptor(this.#handle.fd);
  }

  zeros = (offset: number, length: number): void => {
    attempt(this.#name, () => {
      for (let done = 0; done < length;) {
        done += writeSync(this.#handle.fd, ZEROS, 0, Math.min(ZEROS.length, length - done), offset + done);
      }
    });
  };

  wrote(bytes: number): void {
    this.#writeBack.wrote(bytes);
  }

  async finish(): Promise<Finished> {
    await this.#writeBack.end().catch((error: unknown) => {
      throw failed(this.#name, error);
    });
    await this.#close();
    return { to: this.#name };
  }

  async abandon(): Promise<void> {
    await this.#writeBack.stop();
    try {
      // Clears its first bytes, by which a system would recognise its content.
      if (this.#isOpen) this.zeros(0, Math.min(this.#size, ZEROS.length));
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    if (this.#isOpen) await this.#handle.close();
    this.#isOpen = false;
  }
}

function inUse(path: string, why: string, cause?: unknown): SparsebakError {
  return new SparsebakError('target', `${path} is in use: ${why}`, {
    hint: 'Unmount or close it first, or choose another target.',
    ...(cause === undefined ? {} : { cause }),
  });
}
