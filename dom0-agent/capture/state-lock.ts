/**
 * The lock on dom0's state. A snapshot exists before a pairing.json names it, so removing unnamed snapshots is safe
 * only while no other process is between the two steps: each step of capture runs under this lock.
 */
import { join } from 'node:path';
import { makeFolderDurably } from '../../shared/durable.ts';
import { acquireLock, type Lock } from '../process/flock.ts';

/**
 * Seconds that a step of a running send waits: hours of sending must not be lost because another capture takes long.
 */
const PATIENCE = 3600;

export interface StateLock {
  /**
   * Runs the work while no other process changes the state.
   * @param patient for a step of a running send
   */
  hold<T>(work: () => Promise<T>, patient?: 'patient'): Promise<T>;
}

export interface StateLockOptions {
  readonly waitSeconds: number;
  readonly onWait?: (path: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Milliseconds that the lock is kept: after its last use, until a waiting process gets it, and in total. Taking it
 * costs a process (Node has no flock), and a send of small volumes takes several steps for each volume, so the lock is
 * kept for the next step for a moment.
 */
const KEPT = { idle: 2_000, turn: 500, longest: 10_000 } as const;

/** Milliseconds between two checks whether another process waits, while no step is running. */
const LOOK_EVERY = 100;

/** The shortest wait in seconds: another command may keep the lock for a moment longer than it uses it. */
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
  /** The steps of one process exclude one another as well. */
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
      // Another command may keep the lock for a moment longer than it uses it.
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
