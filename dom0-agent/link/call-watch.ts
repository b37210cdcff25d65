/** Decides by a call's clock when it is given up, and tells what is waited for meanwhile. */
import { SparsebakError } from '../../shared/errors.ts';
import type { CallClock } from './call-clock.ts';
import type { Owed } from './due-answers.ts';

/** Milliseconds that something is waited for before the user is told. */
const WORTH_TELLING = 5000;

const HINT =
  'Nothing that was committed is lost; see whether the backup VM or its disk hangs, then run the command again.';

/** What the user is told while the receiver takes its time. */
export interface Waiting {
  readonly destination: string;
  /** What the receiver was asked to do, as an infinitive. */
  readonly task: string;
  /** Since it last gave something. */
  readonly seconds: number;
  /** Until the call is given up, if nothing comes. */
  readonly secondsLeft: number;
}

/** Called about every second while something is waited for that is not there at once; undefined: it has come. */
export type OnWait = (waiting: Waiting | undefined) => void;

export interface WatchOptions {
  readonly destination: string;
  /** Milliseconds without a word that end the call. */
  readonly silence: number;
  readonly onWait: OnWait | undefined;
}

export class CallWatch {
  readonly #clock: CallClock;
  readonly #options: WatchOptions;
  /** Whether `onWait` was told of something that is not there yet. */
  #told = false;

  constructor(clock: CallClock, options: WatchOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get silence(): number {
    return this.#options.silence;
  }

  /** @returns why the call is given up, if it is */
  look({ task, wait }: Owed): SparsebakError | undefined {
    const { destination, silence } = this.#options;
    if (this.#clock.silent > silence) {
      const message = `${destination}: no word from the receiver for ${Math.round(silence / 1000)} s`;
      return new SparsebakError('unreachable', message, { hint: HINT });
    }
    if (this.#clock.spent > wait) {
      const message =
        `${destination}: the receiver makes no progress: it was given ` + `${Math.round(wait / 60_000)} min to ${task}`;
      return new SparsebakError('unreachable', message, { hint: HINT });
    }
    if (this.#clock.idle < WORTH_TELLING) this.end();
    else this.#tell(task, wait);
    return undefined;
  }

  /** Something came. At once: what comes next may print. */
  heard(): void {
    if (this.#clock.idle < WORTH_TELLING) this.end();
  }

  /** Nothing is waited for any more. */
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
