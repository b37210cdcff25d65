/**
 * Files and folders held by a descriptor. A path is looked up anew each time it is used, and whoever owns a folder on
 * its way can have it lead elsewhere in between: to a file that only root may read or write. What is held stays the
 * same object, and a name below a held folder means what lies in that very folder.
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

/** What tells one file from every other: a name does not. */
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
  /** As it was when it was taken. */
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

  /** What lies at a path, itself: a symbolic link at its end is held, not followed. @throws the system's error */
  static at(path: string | Buffer): Held {
    const flags = O_PATH | constants.O_NOFOLLOW;
    try {
      // Said to be a folder, it is mounted first where that is done on demand.
      return new Held(openSync(path, flags | constants.O_DIRECTORY));
    } catch (error) {
      if (systemCode(error) !== 'ENOTDIR') throw error;
      return new Held(openSync(path, flags));
    }
  }

  /** Leads to this very object, until it is let go. */
  get path(): string {
    return pathOfDescriptor(this.#fd);
  }

  /** The path of a name in this folder. A link of that name is followed by most calls: see `child`. */
  in(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The same for a program that we start: its own descriptors are others. */
  inForProgram(name: string): string {
    return `/proc/${process.pid}/fd/${this.#fd}/${name}`;
  }

  /** What has a name in this folder, without following it; undefined for nothing. */
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
