/**
 * How long a call may still go on: nothing heard for a while ends it, and so does time that brings nothing. Both are
 * counted while the receiver owes an answer or has bytes to take; what it gives makes good time that was spent.
 */

/** Milliseconds that one tick stands for at most: a computer that slept, or had no time for us, was not waiting. */
const LONGEST_TICK = 5000;

/** `working` that may come at once; more often than once a second it is a flood. */
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

  /** Milliseconds in which nothing was heard and nothing taken. */
  get silent(): number {
    return this.#silent;
  }

  /** Milliseconds that were waited for nothing, since what came last made them good. */
  get spent(): number {
    return this.#spent;
  }

  /** Milliseconds since what was asked last brought something. */
  get idle(): number {
    return this.#idle;
  }

  /** The receiver begins to owe something. */
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

  /** Something was heard, whatever it was. */
  heard(): void {
    this.#silent = 0;
  }

  /** Something came that was asked for, or bytes were taken: it makes good so many milliseconds. */
  progress(milliseconds: number): void {
    this.#idle = 0;
    this.#spent = Math.max(0, this.#spent - milliseconds);
  }

  /** `working` came. @returns whether it comes too often to be said in earnest */
  isFlood(): boolean {
    return ++this.#working > WORKING_BURST;
  }
}
