/**
 * The lock on dom0's state. A snapshot is ours before any pairing.json names it, so whoever removes unnamed snapshots
 * must know that nobody is between the two steps: each step of capture runs under this lock.
 */
import { join } from 'node:path';
import { makeFolderDurably } from '../../shared/durable.ts';
import { acquireLock, type Lock } from '../process/flock.ts';

/**
 * Seconds that a step of a send under way waits: hours of sending must not be lost to a capture that takes its time.
 */
const PATIENCE = 3600;

export interface StateLock {
  /**
   * Runs the work while no other process changes the state.
   * @param patient for a step of a send that is under way
   */
  hold<T>(work: () => Promise<T>, patient?: 'patient'): Promise<T>;
}

export interface StateLockOptions {
  readonly waitSeconds: number;
  readonly onWait?: (path: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Milliseconds that the lock is kept: after its last use, until another process that waits for it has a turn, and in
 * all. To take it costs a process (Node has no flock), and a send of small volumes takes several steps for each: so
 * whoever comes back within a moment has it still.
 */
const KEPT = { idle: 2_000, turn: 500, longest: 10_000 } as const;

/** Milliseconds between two looks at whether another process waits, while no step is under way. */
const LOOK_EVERY = 100;

/** Seconds that even the impatient wait: another command may keep it for a moment longer than it uses it. */
const LEAST_WAIT = 1;

export function stateLock(stateDir: string, options: StateLockOptions): StateLock {
  const kept = new KeptLock(stateDir, options);
  return { hold: (work, patient) => kept.hold(work, patient) };
}

class KeptLock {
  readonly #stateDir: string;
  readonly #options: StateLockOptions;
  #lock: Lock | undefined;
  #since = 0;
  #looked = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The steps of one process exclude one another, too. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(stateDir: string, options: StateLockOptions) {
    this.#stateDir = stateDir;
    this.#options = options;
  }

  hold<T>(work: () => Promise<T>, patient: 'patient' | undefined): Promise<T> {
    const held = this.#last.then(() => this.#hold(work, patient));
    this.#last = held.catch(() => undefined);
    return held;
  }

  async #hold<T>(work: () => Promise<T>, patient: 'patient' | undefined): Promise<T> {
    clearInterval(this.#timer);
    if (this.#isOverdue) this.#release();
    if (this.#lock === undefined) {
      this.#lock = await this.#acquire(patient);
      this.#since = this.#looked = performance.now();
    }
    try {
      return await work();
    } finally {
      this.#linger(performance.now() + KEPT.idle);
    }
  }

  get #isOverdue(): boolean {
    const now = performance.now();
    if (now - this.#since >= KEPT.longest) return true;
    if (now - this.#looked < KEPT.turn) return false;
    this.#looked = now;
    return this.#lock?.isWaitedFor() === true;
  }

  #linger(until: number): void {
    this.#timer = setInterval(() => {
      if (performance.now() >= until || this.#lock?.isWaitedFor() === true) this.#release();
    }, LOOK_EVERY).unref();
  }

  async #acquire(patient: 'patient' | undefined): Promise<Lock> {
    const { waitSeconds, onWait, signal } = this.#options;
    const path = join(this.#stateDir, 'state.lock');
    makeFolderDurably(this.#stateDir);
    return await acquireLock(path, {
      exclusive: true,
      signal,
      // Another command may keep it for a moment longer than it uses it.
      waitSeconds: Math.max(waitSeconds, patient === undefined ? LEAST_WAIT : PATIENCE),
      ...(onWait === undefined ? {} : { onWait: () => onWait(path) }),
    });
  }

  #release(): void {
    clearInterval(this.#timer);
    this.#lock?.release();
    this.#lock = undefined;
  }
}
