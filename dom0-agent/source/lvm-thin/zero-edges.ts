/**
 * The zeros of a new volume. A block of the pool that nothing was written to reads as zeros. One that is written to in
 * part keeps in its rest whatever it held for another volume, unless the pool clears blocks before it gives them out.
 * So zeros are written where they share a block with data, and nowhere else.
 */

export interface ZeroEdgesOptions {
  /** The pool's blocks. Bytes. */
  readonly block: number;
  /** The device's. Bytes. */
  readonly size: number;
  readonly write: (offset: number, length: number) => void;
}

export class ZeroEdges {
  readonly #options: ZeroEdgesOptions;
  /** What is known to be zeros, and may go on. */
  #from = 0;
  #to = 0;

  constructor(options: ZeroEdgesOptions) {
    this.#options = options;
  }

  /** Runs come in rising order. */
  add(offset: number, length: number): void {
    if (offset !== this.#to) {
      this.#flush();
      this.#from = offset;
    }
    this.#to = offset + length;
  }

  /** What lies behind the content is zeros as well. @param end of the content. Bytes */
  finish(end: number): void {
    this.add(end, this.#options.size - end);
    this.#flush();
  }

  #flush(): void {
    const { block, size, write } = this.#options;
    const [from, to] = [this.#from, this.#to];
    const head = Math.min(to, Math.ceil(from / block) * block);
    // The last block ends with the device.
    const tail = to === size ? to : Math.max(head, Math.floor(to / block) * block);
    if (head > from) write(from, head - from);
    if (to > tail) write(tail, to - tail);
  }
}
