/**
 * How far long work is, on a terminal and nowhere else.
 */
const MIB = 2 ** 20;

export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #began = performance.now();
  readonly #terminal = process.stderr.isTTY;
  #shown = 0;

  /** `total` in bytes. */
  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  show(bytes: number): void {
    const now = performance.now();
    if (!this.#terminal || now - this.#shown < 500) return;
    this.#shown = now;
    const seconds = (now - this.#began) / 1000;
    const rate = bytes / seconds;
    const left = Math.max(0, (this.#total - bytes) / rate);
    const share = this.#total === 0 ? 100 : Math.min(100, (bytes / this.#total) * 100);
    const text = `${share.toFixed(0)} %, ${(rate / MIB).toFixed(0)} MiB/s, ${left.toFixed(0)} s left`;
    process.stderr.write(`\r${this.#what}: ${text}\x1b[K`);
  }

  end(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }
}
