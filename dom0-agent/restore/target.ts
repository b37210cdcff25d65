/**
 * Where a restore writes: a sparse file that gets its name only when all of it is proven and durable, or a device.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../shared/durable.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import { WriteBack } from './write-back.ts';

export interface Target {
  /** What the workers write to. */
  readonly path: string;
  /** Whether zeros must be written too (a device keeps what it had; a new sparse file has them). */
  readonly needsZeros: boolean;
  readonly zeros: (offset: number, length: number) => void;
  /** So many bytes more were written: the disk gets to work on them meanwhile. */
  wrote(bytes: number): void;
  /** All is written and proven: makes it durable and gives it its name. */
  finish(): Promise<void>;
  /** Takes away what was written, or says that a device is invalid now. */
  abandon(): Promise<void>;
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
  return openFile(path, size, force);
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

/**
 * A name of its own beside the target: an interrupted restore never looks like a finished one. It names this process, so that
 * two restores never write to one file, and what a killed one left is found and removed.
 */
function openFile(path: string, size: number, force: boolean): Target {
  removeAbandoned(path);
  const partial = `${path}${PARTIAL}${process.pid}`;
  // Exclusively: what lies there is not ours, and may be a link to elsewhere.
  const fd = attempt(path, () => openSync(partial, 'wx', 0o600));
  try {
    attempt(path, () => {
      ftruncateSync(fd, size);
    });
  } catch (error) {
    closeSync(fd);
    rmSync(partial, { force: true });
    throw error;
  }
  const writeBack = new WriteBack(fd);
  return {
    path: partial,
    needsZeros: false,
    zeros: () => undefined,
    wrote: (bytes) => {
      writeBack.wrote(bytes);
    },
    finish: async () => {
      try {
        await durable(path, fd, writeBack);
        attempt(path, () => {
          if (force) renameSync(partial, path);
          else linkNew(partial, path);
          syncFolder(dirname(path));
        });
      } catch (error) {
        rmSync(partial, { force: true });
        throw error;
      }
    },
    abandon: async () => {
      rmSync(partial, { force: true });
      await writeBack.stop();
      closeSync(fd);
    },
  };
}

const PARTIAL = '.sparsebak-partial-';

function removeAbandoned(path: string): void {
  const folder = dirname(path);
  const prefix = `${basename(path)}${PARTIAL}`;
  try {
    for (const name of readdirSync(folder)) {
      const owner = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      if (/^\d{1,10}$/.test(owner) && (owner === String(process.pid) || !existsSync(`/proc/${owner}`))) {
        rmSync(join(folder, name));
      }
    }
  } catch {
    // What stays costs only space; a folder that is not there shows next.
  }
}

/** Under a name that nothing has got meanwhile. */
function linkNew(partial: string, path: string): void {
  try {
    linkSync(partial, path);
  } catch (error) {
    // A file system without hard links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(systemCode(error) ?? '')) throw error;
    if (existing(path) !== undefined) throw error;
    renameSync(partial, path);
    return;
  }
  rmSync(partial);
}

const ZEROS = Buffer.alloc(1024 * 1024);

function openDevice(path: string, size: number): Target {
  const fd = openUnused(path);
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
  const writeBack = new WriteBack(fd);
  return {
    path,
    needsZeros: true,
    zeros: (offset, length) => {
      attempt(path, () => {
        zeros(offset, length);
      });
    },
    wrote: (bytes) => {
      writeBack.wrote(bytes);
    },
    finish: async () => {
      await durable(path, fd, writeBack);
    },
    abandon: async () => {
      await writeBack.stop();
      // Its first bytes are what a system would believe it by.
      attempt(path, () => {
        zeros(0, Math.min(size, ZEROS.length));
        closeSync(fd);
      });
    },
  };
}

/** Makes a target durable and closes it. */
async function durable(path: string, fd: number, writeBack: WriteBack): Promise<void> {
  try {
    await writeBack.end();
  } catch (error) {
    throw failed(path, error);
  } finally {
    closeSync(fd);
  }
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

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failed(path, error);
  }
}

function failed(path: string, error: unknown): SparsebakError {
  const noSpace = systemCode(error) === 'ENOSPC';
  return new SparsebakError('target', `${basename(path)}: ${error instanceof Error ? error.message : String(error)}`, {
    hint: noSpace ? 'Free space there, or name another target.' : 'Check the folder and its permissions.',
    cause: error,
  });
}
