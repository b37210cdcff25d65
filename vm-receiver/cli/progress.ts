/**
 * How far long work is, on a terminal and nowhere else.
 */
import { cutMiddle } from '../../shared/terminal/cut.ts';
import { showBytes } from './output.ts';

/** Milliseconds between two looks. */
const INTERVAL = 500;
/** What is left of a name in a narrow line. */
const SHORTEST_NAME = 16;

export class Progress {
  readonly #name: string;
  #total: number;
  readonly #began = performance.now();
  readonly #terminal = process.stderr.isTTY;
  #shown = 0;

  /** @param total in bytes, about: where it turns out to be more, it is more */
  constructor(name: string, total: number) {
    this.#name = name;
    this.#total = total;
  }

  /** @param bytes done so far */
  show(bytes: number): void {
    this.#total = Math.max(this.#total, bytes);
    const now = performance.now();
    if (!this.#terminal || this.#total === 0 || now - this.#shown < INTERVAL) return;
    this.#shown = now;
    const rate = bytes / ((now - this.#began) / 1000);
    const figures = [
      `${Math.floor((bytes / this.#total) * 100)} %`,
      `${showBytes(bytes)} of ${showBytes(this.#total)}`,
      ...(rate > 0 ? [`${showBytes(rate)}/s`, `${((this.#total - bytes) / rate).toFixed(0)} s left`] : []),
    ].join('  ');
    // A full line would wrap.
    const columns = Math.max(20, (process.stderr.columns || 80) - 1);
    const name = cutMiddle(this.#name, Math.max(SHORTEST_NAME, columns - figures.length - 2));
    process.stderr.write(`\r\x1b[K${`${name}  ${figures}`.slice(0, columns)}`);
  }

  end(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }
}
