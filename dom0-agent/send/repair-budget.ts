/**
 * Limits how much a send repairs of what the receiver reports as damaged: its report alone must not keep dom0 reading
 * for hours. The next send continues with the rest.
 */

/** Chunks and pages. */
const OBJECTS = 1024;
/** Bytes that are read for it. */
const BYTES = 2 ** 30;
/** Milliseconds. */
const TIME = 60_000;

/** One send's budget, shared by all of its volumes. */
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

  /** Whether one more object may be repaired, for which `bytes` are read. The first may be larger than the budget. */
  take(bytes: number): boolean {
    if (this.#objects === 0 || this.#bytes <= 0) return false;
    this.#objects--;
    this.#bytes -= bytes;
    return true;
  }
}
