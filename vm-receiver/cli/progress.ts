/** Progress of long work, shown only on a terminal. */
import { progressLine, redraw, usableColumns } from '../../shared/terminal/progress-line.ts';

/** Milliseconds between two updates. */
const INTERVAL = 500;

export class Progress {
  readonly #name: string;
  #total: number;
  readonly #began = performance.now();
  readonly #terminal = process.stderr.isTTY;
  #shown = 0;

  /** @param total estimate in bytes; grows if more is done */
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
