/**
 * A lock that is taken repeatedly. Taking it costs a process (Node has no flock), so it is kept for a moment after its
 * last use for the next one, until another process waits for it.
 */
import { Refusal } from '../../refusal.ts';
import type { Patience } from '../../store.ts';
import type { Disk, LockMode } from './disk.ts';
import { FolderLock } from './folder-lock.ts';

export interface Lingering {
  /** Milliseconds that a lock is kept after its last use if no other process visibly waits. */
  readonly idle: number;
  /** Milliseconds after which it is released even between two close uses, if another process waits. */
  readonly turn: number;
  /** The same if none visibly waits. */
  readonly longest: number;
}

export const NO_LINGERING: Lingering = { idle: 0, turn: 0, longest: 0 };

/** Milliseconds between two checks whether another process waits for an unused lock. */
const LOOK_EVERY = 100;

/** The shortest wait in seconds: others may keep a lock for a moment longer than they use it. */
const LEAST_WAIT = 1;

export interface Lockable {
  readonly name: string;
  /** Returns a descriptor, which then belongs to the lock. */
  readonly open: () => number;
  readonly lingering: Readonly<Record<LockMode, Lingering>>;
}

export class HeldLock {
  readonly #disk: Disk;
  readonly #lockable: Lockable;
  readonly #patience: Patience;
  /** Called whenever others may have held it in between. */
  onReleased: () => void = () => undefined;
  #lock: FolderLock | undefined;
  #mode: LockMode = 'shared';
  #users = 0;
  #since = 0;
  /** When the last check for another waiting process was. */
  #looked = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Only one use at a time takes it. */
  #taking: Promise<void> = Promise.resolve();

  constructor(disk: Disk, lockable: Lockable, patience: Patience) {
    this.#disk = disk;
    this.#lockable = lockable;
    const lingers = lockable.lingering.alone.idle > 0;
    this.#patience = lingers ? { ...patience, seconds: Math.max(patience.seconds, LEAST_WAIT) } : patience;
  }

  /** Takes the lock, waiting if necessary; one `give` must follow. @throws Refusal `locked` */
  async take(mode: LockMode): Promise<void> {
    const taking = this.#taking.then(() => this.#take(mode));
    this.#taking = taking.catch(() => undefined);
    await taking;
  }

  async #take(mode: LockMode): Promise<void> {
    clearInterval(this.#timer);
    const { name, open, lingering } = this.#lockable;
    if (this.#mode !== mode || this.#isOverdue(lingering[this.#mode])) this.letGo();
    if (this.#lock === undefined) {
      this.#lock = await FolderLock.takeOpen(this.#disk, open, mode, name, this.#patience);
      this.#mode = mode;
      this.#since = this.#looked = performance.now();
    } else if (this.#mode === 'shared' && mode === 'alone') {
      throw new Refusal('locked', `this call itself is reading ${name}`);
    }
    this.#users += 1;
  }

  #isOverdue({ turn, longest }: Lingering): boolean {
    const now = performance.now();
    if (now - this.#since >= longest) return true;
    if (now - this.#looked < turn) return false;
    this.#looked = now;
    return this.#lock?.isWaitedFor === true;
  }

  /** Ends one use. */
  give(): void {
    this.#users -= 1;
    if (this.#users > 0 || this.#lock === undefined) return;
    const { idle } = this.#lockable.lingering[this.#mode];
    if (idle === 0) this.letGo();
    else this.#linger(performance.now() + idle);
  }

  #linger(until: number): void {
    this.#timer = setInterval(() => {
      if (performance.now() >= until || this.#lock?.isWaitedFor === true) this.letGo();
    }, LOOK_EVERY).unref();
  }

  /** Takes it for the duration of the work. */
  async during<T>(mode: LockMode, work: () => T | Promise<T>): Promise<T> {
    await this.take(mode);
    try {
      return await work();
    } finally {
      this.give();
    }
  }

  /** Releases it, if it is not in use. */
  letGo(): void {
    if (this.#users > 0 || this.#lock === undefined) return;
    clearInterval(this.#timer);
    this.#lock.release();
    this.#lock = undefined;
    this.onReleased();
  }
}
