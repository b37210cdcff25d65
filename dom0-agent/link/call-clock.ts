/**
 * Limits a connection's time: it ends after silence, and after too much time without progress. Both are counted while
 * the receiver owes an answer or has bytes to accept; progress credits spent time.
 */

/** The most milliseconds that one tick counts: a computer that slept, or was busy, was not waiting. */
const LONGEST_TICK = 5000;

/** How many `working` may come at once; on average more than one per second is a flood. */
const WORKING_BURST = 100;

export class CallClock {
  readonly #now: () => number;
  #last: number;
  #silent = 0;
  #spent = 0;
  #idle = 0;
  #working = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** Milliseconds in which nothing was received and nothing accepted. */
  get silent(): number {
    return this.#silent;
  }

  /** Milliseconds waited without progress, less those that progress has credited. */
  get spent(): number {
    return this.#spent;
  }

  /** Milliseconds since the last progress. */
  get idle(): number {
    return this.#idle;
  }

  /** To be called when the receiver begins to owe something. */
  begin(): void {
    this.#last = this.#now();
    this.#silent = 0;
    this.#idle = 0;
  }

  /** Called about every second. @param due whether the receiver owes something */
  tick(due: boolean): void {
    const now = this.#now();
    const step = Math.min(now - this.#last, LONGEST_TICK);
    this.#last = now;
    this.#working = Math.max(0, this.#working - step / 1000);
    this.#silent = due ? this.#silent + step : 0;
    this.#idle = due ? this.#idle + step : 0;
    if (due) this.#spent += step;
  }

  /** To be called for anything received. */
  heard(): void {
    this.#silent = 0;
  }

  /** To be called for progress (an expected answer, or accepted bytes): credits `milliseconds`. */
  progress(milliseconds: number): void {
    this.#idle = 0;
    this.#spent = Math.max(0, this.#spent - milliseconds);
  }

  /** To be called for each `working`. @returns whether they come too often */
  isFlood(): boolean {
    return ++this.#working > WORKING_BURST;
  }
}
