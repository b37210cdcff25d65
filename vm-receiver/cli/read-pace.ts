/**
 * How fast reading may go: no more bytes a second than allowed, on the average since it began.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that are not worth a nap. */
const SHORT = 20;

export class Pace {
  readonly #bytesPerSecond: number;
  readonly #began = performance.now();
  #bytes = 0;

  /** Infinity for as fast as it goes. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Returns when so many bytes more were due. */
  async spend(bytes: number): Promise<void> {
    this.#bytes += bytes;
    const due = this.#began + (this.#bytes / this.#bytesPerSecond) * 1000;
    const wait = due - performance.now();
    if (wait > SHORT) await sleep(wait);
  }
}
