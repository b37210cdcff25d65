/**
 * Where a restore writes: a sparse file that gets its name only when all of it is proven and durable, or a device.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { syncFolder } from '../../shared/durable.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';

export interface Target {
  /** What the workers write to. */
  readonly path: string;
  /** Whether zeros must be written too (a device keeps what it had; a new sparse file has them). */
  readonly needsZeros: boolean;
  readonly zeros: (offset: number, length: number) => void;
  /** All is written and proven: makes it durable and gives it its name. */
  finish(): void;
  /** Takes away what was written, or says that a device is invalid now. */
  abandon(): void;
}

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
  return openFile(path, size);
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

/** A name of its own beside the target: an interrupted restore never looks like a finished one. */
function openFile(path: string, size: number): Target {
  const partial = `${path}.sparsebak-partial`;
  const fd = attempt(path, () => openSync(partial, 'w', 0o600));
  try {
    attempt(path, () => {
      ftruncateSync(fd, size);
    });
  } catch (error) {
    closeSync(fd);
    rmSync(partial, { force: true });
    throw error;
  }
  return {
    path: partial,
    needsZeros: false,
    zeros: () => undefined,
    finish: () => {
      attempt(path, () => {
        fsyncSync(fd);
        closeSync(fd);
        renameSync(partial, path);
        syncFolder(dirname(path));
      });
    },
    abandon: () => {
      closeSync(fd);
      rmSync(partial, { force: true });
    },
  };
}

const ZEROS = Buffer.alloc(1024 * 1024);

function openDevice(path: string, size: number): Target {
  // O_EXCL on a block device fails while it is mounted or held by device-mapper.
  const fd = attempt(path, () => openSync(path, 'rs+'));
  const room = deviceSize(fd, path);
  if (room < size) {
    closeSync(fd);
    throw new SparsebakError('target', `${path} has ${room} bytes, the volume ${size}`, { hint: 'Make it larger.' });
  }
  const zeros = (offset: number, length: number) => {
    for (let done = 0; done < length;) {
      done += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, length - done), offset + done);
    }
  };
  return {
    path,
    needsZeros: true,
    zeros: (offset, length) => {
      attempt(path, () => {
        zeros(offset, length);
      });
    },
    finish: () => {
      attempt(path, () => {
        fsyncSync(fd);
        closeSync(fd);
      });
    },
    abandon: () => {
      // Its first bytes are what a system would believe it by.
      attempt(path, () => {
        zeros(0, Math.min(size, ZEROS.length));
        closeSync(fd);
      });
    },
  };
}

/** Bytes of a block device, from sysfs (fstat says 0). */
function deviceSize(fd: number, path: string): number {
  const { rdev } = fstatSync(fd);
  const major = ((rdev >> 8) & 0xfff) | 0;
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  return attempt(path, () => Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512);
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const noSpace = systemCode(error) === 'ENOSPC';
    throw new SparsebakError('target', `${basename(path)}: ${error instanceof Error ? error.message : String(error)}`, {
      hint: noSpace ? 'Free space there, or name another target.' : 'Check the folder and its permissions.',
      cause: error,
    });
  }
}
