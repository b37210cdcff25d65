/**
 * Writes zeros in a new volume. An unwritten block of the pool reads as zeros. The rest of a partly written block keeps
 * old content of another volume, unless the pool clears blocks before it allocates them. So zeros are written where
 * they share a block with data, and nowhere else.
 */

export interface ZeroEdgesOptions {
  /** The pool's block size, in bytes. */
  readonly block: number;
  /** The device's size, in bytes. */
  readonly size: number;
  readonly write: (offset: number, length: number) => void;
}

export class ZeroEdges {
  readonly #options: ZeroEdgesOptions;
  /** Where the current run of zeros begins, which may continue. */
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

  /** Everything after the content is zeros as well. @param end of the content, in bytes */
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
