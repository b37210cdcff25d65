/** A path to restore to: a new file, one that is replaced by force, or a device. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import { attempt, failed, newFile } from '../source/new-file.ts';
import type { Target } from '../source/target.ts';
import { WriteBack } from '../source/write-back.ts';

/**
 * @param size bytes
 * @param force replaces an existing file, or writes to a device
 * @throws `target` where it exists, is too small, or cannot be written
 */
export function openTarget(path: string, size: number, force: boolean): Target {
  const there = existing(path);
  if (there !== undefined && !force) {
    throw new SparsebakError('target', `${path} exists already`, {
      hint: there.isBlockDevice()
        ? 'To overwrite this device, add --force.'
        : 'Name another path, or add --force to replace it.',
    });
  }
  if (there?.isBlockDevice() === true) return openDevice(path, size);
  if (there !== undefined && !there.isFile()) {
    throw new SparsebakError('target', `${path} is neither a file nor a block device`, { hint: 'Name another path.' });
  }
  return newFile({ path, size, there: force ? 'lose' : 'refuse' });
}

function existing(path: string): Stats | undefined {
  try {
    const link = lstatSync(path);
    return link.isSymbolicLink() ? lstatSync(realpathSync(path)) : link;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw asSparsebakError(error, 'target', path);
  }
}

const ZEROS = Buffer.alloc(1024 * 1024);

function openDevice(path: string, size: number): Target {
  const fd = openUnused(path);
  const room = deviceSize(fd, path);
  if (room < size) {
    closeSync(fd);
    throw new SparsebakError('target', `${path} has ${room} bytes, the volume ${size}`, { hint: 'Make it larger.' });
  }
  const zeros = (offset: number, length: number): void => {
    attempt(path, () => {
      for (let done = 0; done < length;) {
        done += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, length - done), offset + done);
      }
    });
  };
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  const writeBack = new WriteBack(fd);
  return {
    path,
    zeros,
    wrote: (bytes) => {
      writeBack.wrote(bytes);
    },
    finish: async () => {
      try {
        await writeBack.end();
      } catch (error) {
        throw failed(path, error);
      }
      close();
      return { to: path };
    },
    abandon: async () => {
      await writeBack.stop();
      // Its first bytes are what a system would believe it by.
      if (isOpen) zeros(0, Math.min(size, ZEROS.length));
      close();
    },
  };
}

/** Opens a device so that nothing mounts it meanwhile; fails while it is mounted, or part of another device. */
function openUnused(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_EXCL);
  } catch (error) {
    if (systemCode(error) !== 'EBUSY') throw asSparsebakError(error, 'target', path);
    throw new SparsebakError('target', `${path} is in use: it is mounted, or part of another device`, {
      hint: 'Unmount or close it first, or name another target.',
      cause: error,
    });
  }
}

/** Bytes of a block device, from sysfs (fstat says 0). */
function deviceSize(fd: number, path: string): number {
  const { rdev } = fstatSync(fd);
  const major = ((rdev >> 8) & 0xfff) | 0;
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  return attempt(path, () => Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512);
}
