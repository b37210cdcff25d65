/**
 * The bytes that go to the agent. Node writes to a pipe on standard output synchronously, and one that nobody reads
 * would stop the whole process, its watchdog too: so this is a stream of our own. It holds one frame at a time and no
 * more.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';

/** Bytes given to the system at a time, each of which must go within the time for silence. */
const PIECE = 64 * 1024;

export interface Output {
  /** Returns when the system has taken all of the bytes. Throws `failed` when it takes nothing for `silence` ms. */
  send(bytes: Uint8Array): Promise<void>;
  /** Whether something is being sent now. */
  readonly busy: boolean;
  close(): void;
}

/** The output on a file descriptor: a pipe, a socket, or a file. */
export function openOutput(fd: number, silence: number): Output {
  try {
    return new StreamOutput(fd, silence);
  } catch (error) {
    if (systemCode(error) === 'ERR_INVALID_FD_TYPE') return new FileOutput(fd);
    throw error;
  }
}

class StreamOutput implements Output {
  readonly #socket: Socket;
  readonly #silence: number;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #error: Error | undefined;

  constructor(fd: number, silence: number) {
    this.#socket = new Socket({ fd, readable: false, writable: true, allowHalfOpen: true });
    this.#socket.on('error', (error) => (this.#error = error));
    this.#silence = silence;
  }

  get busy(): boolean {
    return this.#waiting > 0;
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.#waiting += 1;
    const sent = this.#last.then(() => this.#sendNow(bytes));
    // The next one waits for this one's end, however it ends, and learns of a broken stream by itself.
    this.#last = sent.catch(() => undefined);
    try {
      await sent;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #sendNow(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += PIECE) await this.#piece(bytes.subarray(from, from + PIECE));
  }

  async #piece(piece: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw asSparsebakError(this.#error, 'failed', 'cannot write to the agent');
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#error = new SparsebakError('failed', `the agent took nothing for ${this.#silence / 1000} s`);
        this.#socket.destroy();
        reject(this.#error);
      }, this.#silence);
      this.#socket.write(piece, (error) => {
        clearTimeout(timer);
        if (error) reject(asSparsebakError(error, 'failed', 'cannot write to the agent'));
        else resolve();
      });
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A file takes what it is given at once. */
class FileOutput implements Output {
  readonly busy = false;
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) from += writeSync(this.#fd, bytes, from);
  }

  close(): void {
    // The descriptor ends with the process.
  }
}
