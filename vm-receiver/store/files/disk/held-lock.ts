/**
 * A lock that is taken again and again. To take one costs a process (Node has no flock), so it is kept for a moment
 * after its last use, and whoever comes back within that has it still, until another process waits for it.
 */
import { Refusal } from '../../refusal.ts';
import type { Patience } from '../../store.ts';
import type { Disk, LockMode } from './disk.ts';
import { FolderLock } from './folder-lock.ts';

export interface Lingering {
  /** Milliseconds that a lock is kept after its last use where no other process is seen to wait. */
  readonly idle: number;
  /**
   * Milliseconds after which it is let go of between two uses, though they follow closely, if another process waits.
   */
  readonly turn: number;
  /** The same where none is seen to wait. */
  readonly longest: number;
}

export const NO_LINGERING: Lingering = { idle: 0, turn: 0, longest: 0 };

/** Milliseconds between two looks at whether another process waits for a lock that nobody uses. */
const LOOK_EVERY = 100;

/** Seconds that even the impatient wait: others may keep a lock for a moment longer than they use it. */
const LEAST_WAIT = 1;

export interface Lockable {
  readonly name: string;
  /** Gives a descriptor that is the lock's from then on. */
  readonly open: () => number;
  readonly lingering: Readonly<Record<LockMode, Lingering>>;
}

export class HeldLock {
  readonly #disk: Disk;
  readonly #lockable: Lockable;
  readonly #patience: Patience;
  /** Called whenever others may have had it since. */
  onReleased: () => void = () => undefined;
  #lock: FolderLock | undefined;
  #mode: LockMode = 'shared';
  #users = 0;
  #since = 0;
  /** When it was last looked whether another one waits. */
  #looked = 0;
  #timer: NodeJS.Timeout | undefined;
  /** One at a time takes it. */
  #taking: Promise<void> = Promise.resolve();

  constructor(disk: Disk, lockable: Lockable, patience: Patience) {
    this.#disk = disk;
    this.#lockable = lockable;
    const lingers = lockable.lingering.alone.idle > 0;
    this.#patience = lingers ? { ...patience, seconds: Math.max(patience.seconds, LEAST_WAIT) } : patience;
  }

  /** Waits for it; one `give` must follow. @throws Refusal `locked` */
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

  /** One use is over. */
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

  /** Takes it for as long as the work lasts. */
  async during<T>(mode: LockMode, work: () => T | Promise<T>): Promise<T> {
    await this.take(mode);
    try {
      return await work();
    } finally {
      this.give();
    }
  }

  /** Lets go of it where nobody uses it. */
  letGo(): void {
    if (this.#users > 0 || this.#lock === undefined) return;
    clearInterval(this.#timer);
    this.#lock.release();
    this.#lock = undefined;
    this.onReleased();
  }
}
