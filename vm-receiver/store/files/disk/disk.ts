/**
 * The file system as the store uses it: an interface, so that a test can make any single operation fail, do less than
 * asked, or be lost in a power cut. The real one is `systemDisk`; errors are Node's own.
 */
import * as fs from 'node:fs';
import { execa, ExecaError } from 'execa';
import { syncFolder } from '../../../../shared/durable.ts';
import { SparsebakError, systemCode } from '../../../../shared/errors.ts';
import { isWaitedFor } from '../../../../shared/lock-waiters.ts';
import type { Patience, Space } from '../../store.ts';
import { removeFile, replaceFile } from './replace-file.ts';

/** Distinguishes a file or folder from another of the same name. */
export interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
}

export type LockMode = 'shared' | 'alone';

export type Kind = 'file' | 'folder' | 'other';

export interface Entry extends Identity {
  readonly kind: Kind;
  readonly size: number;
  /** Number of its names. */
  readonly links: number;
  /** Bytes that it takes up on the disk. */
  readonly diskBytes: number;
}

/** `new` fails if the name is taken by anything; `read` follows no link and does not wait for a FIFO. */
export type OpenMode = 'new' | 'append' | 'read' | 'folder';

export interface Disk {
  open(path: string, mode: OpenMode): number;
  /** Bytes written: may be fewer than given. */
  write(fd: number, bytes: Uint8Array, from: number): number;
  /** Bytes read, 0 at the end. */
  read(fd: number, target: Uint8Array, offset: number, length: number): number;
  close(fd: number): void;
  /** The entry of an open file. */
  entryOf(fd: number): Entry;
  /** The entry of a name, links not followed; undefined if there is none. */
  entryAt(path: string): Entry | undefined;
  /** Only its kind, which costs less. */
  kindOf(path: string): Kind | undefined;
  makeFolder(path: string): void;
  list(path: string): string[];
  rename(from: string, to: string): void;
  /** Gives a file another name; fails if the name is taken. */
  link(from: string, to: string): void;
  /** Removes a file, which need not exist. A folder in its place is moved aside. */
  remove(path: string): void;
  removeTree(path: string): Promise<void>;
  space(path: string): Space;
  /** Makes a folder's entries durable. */
  syncFolder(path: string): void;
  /** Replaces a small file atomically; durable when it returns. A folder in its place is moved aside. */
  replace(path: string, content: Uint8Array | string): void;
  /** Makes these files and folders durable: their content, or their entries. */
  syncEach(paths: readonly string[]): Promise<void>;
  /** Makes everything durable that was written to the file system that holds `path`. */
  syncFileSystem(path: string): Promise<void>;
  /**
   * Locks an open folder until it is closed, or its process ends in any way. False if another process holds it and the
   * wait is over. Throws if the signal ends the wait.
   */
  lock(fd: number, mode: LockMode, patience: Patience): Promise<boolean>;
  /** Whether another process visibly waits for it. */
  isWaitedFor(fd: number): boolean;
}

/** The exit status that flock(1) must return when the wait is over. */
const STILL_HELD = 75;

const { O_CREAT, O_EXCL, O_WRONLY, O_RDONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  new: O_WRONLY | O_CREAT | O_EXCL,
  append: O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  folder: O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
};

function kindOf(stat: fs.StatsBase<number> | fs.StatsBase<bigint>): Kind {
  if (stat.isFile()) return 'file';
  return stat.isDirectory() ? 'folder' : 'other';
}

function toEntry(stat: fs.BigIntStats): Entry {
  return {
    kind: kindOf(stat),
    size: Number(stat.size),
    links: Number(stat.nlink),
    // stat(2) counts in units of 512 bytes, whatever the file system's are.
    diskBytes: Number(stat.blocks) * 512,
    device: stat.dev,
    inode: stat.ino,
  };
}

export const systemDisk: Disk = {
  open: (path, mode) => fs.openSync(path, FLAGS[mode], 0o600),
  write: (fd, bytes, from) => fs.writeSync(fd, bytes, from),
  read: (fd, target, offset, length) => fs.readSync(fd, target, offset, length, null),
  close: (fd) => fs.closeSync(fd),
  entryOf: (fd) => toEntry(fs.fstatSync(fd, { bigint: true })),
  entryAt(path) {
    const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? undefined : toEntry(stat);
  },
  kindOf(path) {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? undefined : kindOf(stat);
  },
  makeFolder: (path) => fs.mkdirSync(path, { mode: 0o700 }),
  list: (path) => fs.readdirSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  remove: removeFile,
  removeTree: (path) => fs.promises.rm(path, { recursive: true, force: true }),
  space(path) {
    const stat = fs.statfsSync(path);
    return {
      totalBytes: stat.blocks * stat.bsize,
      freeBytes: stat.bavail * stat.bsize,
      freeInodes: stat.files > 0 ? stat.ffree : undefined,
    };
  },
  syncFolder,
  replace: replaceFile,
  async syncEach(paths) {
    // In parallel, so that a journal combines the writes. All must have ended before anything is closed or renamed.
    const over = await Promise.allSettled(paths.map(syncOne));
    for (const each of over) if (each.status === 'rejected') throw each.reason;
  },
  async syncFileSystem(path) {
    // syncfs(2), which Node does not have: it writes back the whole file system and reports failures.
    await execa('sync', ['-f', path], { stdin: 'ignore', stdout: 'ignore' }).catch(notInstalled('sync', 'coreutils'));
  },
  async lock(fd, mode, { seconds, signal }) {
    // A free lock is taken even if the agent seems gone: it may close its side after its last request.
    if (await flock(fd, mode, ['--nonblock'])) return true;
    return seconds > 0 && (await flock(fd, mode, ['--timeout', String(seconds)], signal));
  },
  isWaitedFor: (fd) => isWaitedFor(fs.fstatSync(fd, { bigint: true }).ino),
};

async function syncOne(path: string): Promise<void> {
  const file = await fs.promises.open(path, FLAGS.read);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** flock(2), which Node does not have either: the program inherits our open file, and the lock belongs to that. */
async function flock(fd: number, mode: LockMode, wait: readonly string[], signal?: AbortSignal): Promise<boolean> {
  const how = mode === 'shared' ? '--shared' : '--exclusive';
  try {
    await execa('flock', [how, ...wait, '--conflict-exit-code', String(STILL_HELD), '3'], {
      // Any open descriptor will do; execa's types know the first few only.
      stdio: ['ignore', 'ignore', 'pipe', fd as 3],
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    return true;
  } catch (error) {
    if (error instanceof ExecaError && error.exitCode === STILL_HELD) return false;
    return notInstalled('flock', 'util-linux')(error);
  }
}

/** A missing program must not look like a missing file of the archive. */
function notInstalled(program: string, from: string): (error: unknown) => never {
  return (error) => {
    const isMissing = error instanceof ExecaError && systemCode(error) === 'ENOENT';
    throw isMissing ? new SparsebakError('failed', `there is no ${program} here: install ${from}`) : error;
  };
}
