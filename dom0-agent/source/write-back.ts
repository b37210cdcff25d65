/**
 * Makes a file durable, most of it while more is being written: the kernel would leave gigabytes for the end.
 * Everything is durable when `end` returns, and a failure on the way makes `end` fail: the kernel reports each only
 * once.
 */
import { fdatasync, fsync } from 'node:fs';
import { promisify } from 'node:util';

/** Bytes after which the next write-back starts. */
const EVERY = 128 * 2 ** 20;

export class WriteBack {
  readonly #fd: number;
  #since = 0;
  #underWay: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  wrote(bytes: number): void {
    this.#since += bytes;
    if (this.#since < EVERY || this.#underWay !== undefined) return;
    this.#since = 0;
    this.#underWay = this.#flush();
  }

  async #flush(): Promise<void> {
    try {
      await promisify(fdatasync)(this.#fd);
    } catch (error) {
      this.#failure ??= error as Error;
    } finally {
      this.#underWay = undefined;
    }
  }

  /** Waits until everything written is durable. @throws the failure of any write-back */
  async end(): Promise<void> {
    await this.stop();
    if (this.#failure !== undefined) throw this.#failure;
    await promisify(fsync)(this.#fd);
  }

  /** Waits until no write-back is running: then the file may be closed. */
  async stop(): Promise<void> {
    await this.#underWay;
  }
}
