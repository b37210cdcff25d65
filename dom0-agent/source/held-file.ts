/**
 * Files and folders held by a descriptor. A path is looked up each time it is used, and the owner of a folder on its
 * way can redirect it in between, for example to a file that only root may read or write. A held object stays the same,
 * and a name below a held folder is looked up in that very folder.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { syncFolder } from '../../shared/durable.ts';
import { systemCode } from '../../shared/errors.ts';

/**
 * Names an object without opening it: a FIFO does not wait, a device does nothing, a link is not followed. Node has no
 * name for it.
 */
const O_PATH = 0o10000000;

/** What identifies a file: its name does not. */
export type FileIdentity = Pick<BigIntStats, 'dev' | 'ino'>;

export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** A path by which this process, and each of its threads, reaches an open descriptor, as long as it is open. */
export function pathOfDescriptor(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export class Held {
  readonly #fd: number;
  #isOpen = true;
  /** The state when it was opened. */
  readonly stats: BigIntStats;

  private constructor(fd: number) {
    this.#fd = fd;
    try {
      this.stats = fstatSync(fd, { bigint: true });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Holds the object at a path: a symbolic link at its end is held, not followed. @throws the system's error */
  static at(path: string | Buffer): Held {
    const flags = O_PATH | constants.O_NOFOLLOW;
    try {
      // Opened as a folder, an automount point is mounted first.
      return new Held(openSync(path, flags | constants.O_DIRECTORY));
    } catch (error) {
      if (systemCode(error) !== 'ENOTDIR') throw error;
      return new Held(openSync(path, flags));
    }
  }

  /** Leads to this very object, until it is closed. */
  get path(): string {
    return pathOfDescriptor(this.#fd);
  }

  /** The path of a name in this folder. Most calls follow a link of that name: see `child`. */
  in(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The same for a program that we start, which has descriptors of its own. */
  inForProgram(name: string): string {
    return `/proc/${process.pid}/fd/${this.#fd}/${name}`;
  }

  /** The object of this name in this folder, not following a link; undefined if there is none. */
  look(name: string): BigIntStats | undefined {
    return lstatSync(this.in(name), { bigint: true, throwIfNoEntry: false });
  }

  /** The same, held. */
  child(name: string | Buffer): Held | undefined {
    try {
      return Held.at(typeof name === 'string' ? this.in(name) : Buffer.concat([Buffer.from(this.in('')), name]));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Opens this very object. */
  async open(flags: number): Promise<FileHandle> {
    return await open(this.path, flags);
  }

  /** Makes the entries of this folder durable. */
  sync(): void {
    syncFolder(this.path);
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}
