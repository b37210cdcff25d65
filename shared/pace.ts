/** Limits a rate, on average since the beginning. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Shorter waits in milliseconds are skipped. */
const SHORT = 20;

export class Pace {
  readonly #bytesPerSecond: number;
  readonly #began = performance.now();
  #bytes = 0;

  /** Infinity: no limit. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Returns when so many more bytes are due, or when the signal is aborted. */
  async spend(bytes: number, signal?: AbortSignal): Promise<void> {
    this.#bytes += bytes;
    const due = this.#began + (this.#bytes / this.#bytesPerSecond) * 1000;
    const wait = due - performance.now();
    if (wait <= SHORT) return;
    await sleep(wait, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      if (signal?.aborted !== true) throw error;
    });
  }
}
