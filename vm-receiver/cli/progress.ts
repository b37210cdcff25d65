/**
 * How far long work is, on a terminal and nowhere else.
 */
import { progressLine, redraw, usableColumns } from '../../shared/terminal/progress-line.ts';

/** Milliseconds between two looks. */
const INTERVAL = 500;

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
    const seconds = (now - this.#began) / 1000;
    const advance = { label: this.#name, done: bytes, total: this.#total, seconds };
    redraw(process.stderr, progressLine(advance, usableColumns(process.stderr)));
  }

  end(): void {
    if (this.#terminal) redraw(process.stderr);
  }
}
