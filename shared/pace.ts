/** Limits a rate. Time in which nothing was spent is not made up for. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Shorter waits in milliseconds are skipped. */
const SHORT = 20;
/** Milliseconds that may be made up for, so that reading in bursts still comes to the whole rate. */
const CREDIT = 1000;
/** Milliseconds: a timer takes no more than 2^31. */
const LONGEST = 2 ** 30;

export class Pace {
  readonly #bytesPerSecond: number;
  /** When all that was spent is due. */
  #due = -Infinity;

  /** Infinity: no limit. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Returns when so many more bytes are due, or when the signal is aborted. */
  async spend(bytes: number, signal?: AbortSignal): Promise<void> {
    const earliest = this.#due === -Infinity ? performance.now() : performance.now() - CREDIT;
    this.#due = Math.max(this.#due, earliest) + (bytes / this.#bytesPerSecond) * 1000;
    const due = this.#due;
    for (let wait = due - performance.now(); wait > SHORT; wait = due - performance.now()) {
      if (signal?.aborted === true) return;
      await sleep(Math.min(wait, LONGEST), undefined, signal === undefined ? {} : { signal }).catch(
        (error: unknown) => {
          if (signal?.aborted !== true) throw error;
        },
      );
    }
  }
}
