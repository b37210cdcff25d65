/**
 * The bytes from the agent. A pipe or socket is read in advance into a few reused buffers, so that the end of the
 * stream is noticed while a request waits for a lock; memory stays constant whatever the agent sends.
 */
import { read } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';

const SLOT = 256 * 1024;
const SLOTS = 4;
/** A read of at most this many bytes is appended to the previous one, if that was not taken yet. */
const FEW = 16 * 1024;

export interface Input {
  /**
   * The next piece of the stream, valid until the next call; undefined at its end. Throws `failed` if nothing arrives
   * for `silence` ms.
   */
  next(silence: number): Promise<Uint8Array | undefined>;
  /** Fires when the stream has ended or broken, even while no piece is requested. */
  readonly gone: AbortSignal;
  close(): void;
}

/** The input on a file descriptor: a pipe, a socket, or a file. */
export function openInput(fd: number): Input {
  try {
    return new StreamInput(fd);
  } catch (error) {
    if (systemCode(error) === 'ERR_INVALID_FD_TYPE') return new FileInput(fd);
    throw error;
  }
}

interface Filled {
  readonly slot: Uint8Array;
  length: number;
}

class StreamInput implements Input {
  readonly #socket: Socket;
  readonly #gone = new AbortController();
  readonly #free: Uint8Array[] = Array.from({ length: SLOTS - 1 }, () => Buffer.allocUnsafeSlow(SLOT));
  readonly #filled: Filled[] = [];
  /** Where the next read goes. */
  #target: Uint8Array = Buffer.allocUnsafeSlow(SLOT);
  /** The piece that the caller has. */
  #taken: Filled | undefined;
  #paused = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(fd: number) {
    const options = {
      fd,
      readable: true,
      writable: false,
      // Our standard output may be the same socket, so its other half must not be closed here.
      allowHalfOpen: true,
      onread: { buffer: () => this.#target, callback: (length: number) => this.#keep(length) },
    };
    this.#socket = new Socket(options);
    this.#socket.on('end', () => this.#end(undefined));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.resume();
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Records a read; false stops the reading. Called before the buffer for the next read is chosen. */
  #keep(length: number): boolean {
    const last = this.#filled.at(-1);
    if (last !== undefined && length <= FEW && length <= last.slot.length - last.length) {
      last.slot.set(this.#target.subarray(0, length), last.length);
      last.length += length;
      return true;
    }
    this.#filled.push({ slot: this.#target, length });
    // There is always one: reading stops when the last free buffer becomes the target.
    this.#target = this.#free.pop() ?? Buffer.allocUnsafeSlow(SLOT);
    this.#paused = this.#free.length === 0;
    this.#wake?.();
    return !this.#paused;
  }

  #end(error: Error | undefined): void {
    this.#error = error;
    this.#gone.abort();
    this.#wake?.();
  }

  async next(silence: number): Promise<Uint8Array | undefined> {
    if (this.#taken !== undefined) {
      this.#free.push(this.#taken.slot);
      this.#taken = undefined;
      if (this.#paused) {
        this.#paused = false;
        this.#socket.resume();
      }
    }
    if (this.#filled.length === 0 && !this.gone.aborted) await this.#wait(silence);
    this.#taken = this.#filled.shift();
    if (this.#taken !== undefined) return this.#taken.slot.subarray(0, this.#taken.length);
    if (this.#error !== undefined) throw asSparsebakError(this.#error, 'failed', 'cannot read from the agent');
    if (!this.gone.aborted) throw new SparsebakError('failed', `nothing came from the agent for ${silence / 1000} s`);
    return undefined;
  }

  async #wait(silence: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, silence);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  close(): void {
    this.#socket.destroy();
  }
}

const readAsync = promisify(read);

/** A file, a terminal, or anything else for which Node has no stream. Nothing is read in advance. */
class FileInput implements Input {
  readonly gone = new AbortController().signal;
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(SLOT);

  constructor(fd: number) {
    this.#fd = fd;
  }

  async next(): Promise<Uint8Array | undefined> {
    const { bytesRead } = await readAsync(this.#fd, this.#buffer, 0, SLOT, null);
    return bytesRead === 0 ? undefined : this.#buffer.subarray(0, bytesRead);
  }

  close(): void {
    // Nothing is pending, and the descriptor is closed with the process.
  }
}
