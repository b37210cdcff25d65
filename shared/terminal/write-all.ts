/** Writing to standard output and standard error so that all of it is written when the call returns. */
import { writeSync } from 'node:fs';

/** Milliseconds between two attempts to write to a full pipe. */
const PAUSE = 5;

/** Also to a pipe that another process made non-blocking and reads slowly. A closed pipe is not an error. */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
    }
  }
}
