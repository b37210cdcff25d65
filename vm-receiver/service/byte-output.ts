/**
 * The bytes to the agent. Node writes synchronously to a pipe on standard output, and an unread pipe would stop the
 * whole process, including its watchdog: so this is a separate stream. It has at most one frame at a time.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';

/** Bytes written at a time; each piece must be accepted within the time for silence. */
const PIECE = 64 * 1024;

export interface Output {
  /** Returns when the system has accepted all bytes. Throws `failed` if it accepts nothing for `silence` ms. */
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
    // The next send waits for the end of this one, also if it fails, and notices a broken stream by itself.
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

/** A file accepts all bytes at once. */
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
    // The descriptor is closed with the process.
  }
}
