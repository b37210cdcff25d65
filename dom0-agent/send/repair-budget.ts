/**
 * How much of a send goes into repairing what the receiver says is damaged: its word alone must not keep dom0 reading
 * for hours. What is left over the next send goes on with.
 */

/** Chunks and pages. */
const OBJECTS = 1024;
/** Bytes of volume that are read for it. */
const BYTES = 2 ** 30;
/** Milliseconds. */
const TIME = 60_000;

/** One send's, for all of its volumes. */
export class RepairBudget {
  #objects = OBJECTS;
  #bytes = BYTES;
  #time = TIME;

  /** Runs the repair of one volume, which counts against the time. */
  async during<T>(work: (isInTime: () => boolean) => Promise<T>): Promise<T> {
    const began = Date.now();
    try {
      return await work(() => Date.now() - began < this.#time);
    } finally {
      this.#time -= Date.now() - began;
    }
  }

  /** Whether one more object is repaired, for which so many bytes are read. The first may be larger than the budget. */
  take(bytes: number): boolean {
    if (this.#objects === 0 || this.#bytes <= 0) return false;
    this.#objects--;
    this.#bytes -= bytes;
    return true;
  }
}
