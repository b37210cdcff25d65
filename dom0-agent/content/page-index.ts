/** The index of a volume while a send changes it: one hash per range; trailing zero hashes are dropped at the end. */
const HASH = 32;

export class PageIndex {
  #hashes: Uint8Array;

  /** Begins with the base's index (or nothing). */
  constructor(hashes: Uint8Array = new Uint8Array(0)) {
    this.#hashes = Uint8Array.from(hashes);
  }

  /** The hash of a range's page; zeros if it is all zeros or past the end. A view. */
  hash(range: number): Uint8Array {
    const at = range * HASH;
    return at < this.#hashes.length ? this.#hashes.subarray(at, at + HASH) : ZERO;
  }

  isZero(range: number): boolean {
    return this.hash(range).every((byte) => byte === 0);
  }

  set(range: number, hash: Uint8Array): void {
    const end = (range + 1) * HASH;
    if (end > this.#hashes.length) {
      const larger = new Uint8Array(Math.max(end, this.#hashes.length * 2));
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    this.#hashes.set(hash, range * HASH);
  }

  /** The hashes of the ranges below `range`, padded with zero hashes, for a checkpoint there. */
  below(range: number): Uint8Array {
    const bytes = new Uint8Array(range * HASH);
    bytes.set(this.#hashes.subarray(0, bytes.length));
    return bytes;
  }

  /** The index of a volume with this number of ranges. */
  entries(rangeCount: number): Uint8Array {
    let end = Math.min(rangeCount, Math.ceil(this.#hashes.length / HASH));
    while (end > 0 && this.isZero(end - 1)) end--;
    return this.#hashes.slice(0, end * HASH);
  }
}

const ZERO = new Uint8Array(HASH);
