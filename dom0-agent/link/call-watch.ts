/** Decides by a connection's clock when to give up, and reports meanwhile what it is waiting for. */
import { SparsebakError } from '../../shared/errors.ts';
import type { CallClock } from './call-clock.ts';
import type { Owed } from './due-answers.ts';

/** Milliseconds of waiting before the user is told. */
const WORTH_TELLING = 5000;

const HINT =
  'Nothing that was committed is lost; check whether the backup VM or its disk hangs, then run the command again.';

/** What the user is told while the receiver takes long. */
export interface Waiting {
  readonly destination: string;
  /** The receiver's task, as an infinitive. */
  readonly task: string;
  /** Seconds since the last progress. */
  readonly seconds: number;
  /** Seconds until the connection is given up, without progress. */
  readonly secondsLeft: number;
}

/** Called about every second during a longer wait; undefined: the wait is over. */
export type OnWait = (waiting: Waiting | undefined) => void;

export interface WatchOptions {
  readonly destination: string;
  /** Milliseconds of silence that end the connection. */
  readonly silence: number;
  readonly onWait: OnWait | undefined;
}

export class CallWatch {
  readonly #clock: CallClock;
  readonly #options: WatchOptions;
  /** Whether `onWait` was called for a wait that is not over. */
  #told = false;

  constructor(clock: CallClock, options: WatchOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get silence(): number {
    return this.#options.silence;
  }

  /** @returns why the connection is given up, if it is */
  look({ task, wait }: Owed): SparsebakError | undefined {
    const { destination, silence } = this.#options;
    if (this.#clock.silent > silence) {
      const message = `${destination}: no word from the receiver for ${Math.round(silence / 1000)} s`;
      return new SparsebakError('unreachable', message, { hint: HINT });
    }
    if (this.#clock.spent > wait) {
      const message =
        `${destination}: the receiver makes no progress: ` + `it was given ${Math.round(wait / 60_000)} min to ${task}`;
      return new SparsebakError('unreachable', message, { hint: HINT });
    }
    if (this.#clock.idle < WORTH_TELLING) this.end();
    else this.#tell(task, wait);
    return undefined;
  }

  /** To be called at once when something was received: the next step may print. */
  heard(): void {
    if (this.#clock.idle < WORTH_TELLING) this.end();
  }

  /** To be called when there is nothing left to wait for. */
  end(): void {
    if (!this.#told) return;
    this.#told = false;
    this.#options.onWait?.(undefined);
  }

  #tell(task: string, wait: number): void {
    this.#told = true;
    this.#options.onWait?.({
      destination: this.#options.destination,
      task,
      seconds: Math.round(this.#clock.idle / 1000),
      secondsLeft: Math.max(0, Math.round((wait - this.#clock.spent) / 1000)),
    });
  }
}
