/**
 * The file system as the store uses it. One seam, so that a test can make any single operation fail, come back short, or
 * be forgotten by a power cut. The real one is `systemDisk`; errors are Node's own.
 */
import * as fs from 'node:fs';
import { execa } from 'execa';
import { syncFolder, writeDurably } from '../../../shared/durable.ts';

/** What tells one file or folder from another of the same name. */
export interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
}

export type Kind = 'file' | 'folder' | 'other';

export interface Entry extends Identity {
  readonly kind: Kind;
  readonly size: number;
}

export interface Space {
  readonly freeBytes: number;
  /** Undefined where the file system has no fixed number of them. */
  readonly freeInodes: number | undefined;
}

/** `new` fails when the name is taken, whatever has it; `read` follows no link and waits for no FIFO. */
export type OpenMode = 'new' | 'append' | 'read' | 'folder';

export interface Disk {
  open(path: string, mode: OpenMode): number;
  /** Bytes written: may be fewer than given. */
  write(fd: number, bytes: Uint8Array, from: number): number;
  /** Bytes read, 0 at the end. */
  read(fd: number, target: Uint8Array, offset: number, length: number): number;
  close(fd: number): void;
  /** Of an open file; follows nothing. */
  entryOf(fd: number): Entry;
  /** Of a name, links not followed; undefined where there is none. */
  entryAt(path: string): Entry | undefined;
  exists(path: string): boolean;
  makeFolder(path: string): void;
  list(path: string): string[];
  rename(from: string, to: string): void;
  /** A file; it may be gone already. */
  remove(path: string): void;
  /** A folder, and only if it is empty. */
  removeFolder(path: string): void;
  removeTree(path: string): Promise<void>;
  space(path: string): Space;
  /** Makes a folder's entries durable. */
  syncFolder(path: string): void;
  /** A small file, old or new whatever happens, and durable when it returns. */
  replace(path: string, content: Uint8Array | string): void;
  /** Makes everything durable that was written to the file system that holds `path`. */
  syncFileSystem(path: string): Promise<void>;
}

const { O_CREAT, O_EXCL, O_WRONLY, O_RDONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  new: O_WRONLY | O_CREAT | O_EXCL,
  append: O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  folder: O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
};

function toEntry(stat: fs.BigIntStats): Entry {
  const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other';
  return { kind, size: Number(stat.size), device: stat.dev, inode: stat.ino };
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
  exists: (path) => fs.existsSync(path),
  makeFolder: (path) => fs.mkdirSync(path, { mode: 0o700 }),
  list: (path) => fs.readdirSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
  removeFolder: (path) => fs.rmdirSync(path),
  removeTree: (path) => fs.promises.rm(path, { recursive: true, force: true }),
  space(path) {
    const stat = fs.statfsSync(path);
    return {
      freeBytes: stat.bavail * stat.bsize,
      freeInodes: stat.files > 0 ? stat.ffree : undefined,
    };
  },
  syncFolder,
  replace: writeDurably,
  async syncFileSystem(path) {
    // syncfs(2), which Node does not have: it writes back the whole file system and reports what failed to reach it.
    await execa('sync', ['-f', path], { stdin: 'ignore', stdout: 'ignore' });
  },
};
