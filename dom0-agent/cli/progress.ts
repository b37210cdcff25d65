/**
 * One line on a terminal's stderr for long work: what, how far of the whole run, how fast, how long yet. Nothing off a
 * terminal.
 */
import { progressLine, redraw, usableColumns } from '../../shared/terminal/progress-line.ts';
import { Work } from '../../shared/terminal/work.ts';
import { escapeText } from '../../shared/text.ts';

/** Milliseconds between two looks. */
const INTERVAL = 200;

export class Progress {
  readonly #out: NodeJS.WriteStream | undefined;
  readonly #work = new Work();
  #task = '';
  #started: number | undefined;
  #shown = 0;

  /** @param quiet shows nothing (JSON output, no terminal) */
  constructor(quiet: boolean) {
    this.#out = quiet || !process.stderr.isTTY ? undefined : process.stderr;
  }

  /** What is done to the pieces: `restoring`. */
  begin(task: string): void {
    this.#task = task;
  }

  /** A piece of work that is still to come, of some bytes as far as is known. */
  expect(name: string, bytes: number): void {
    this.#work.expect(escapeText(name, 200), bytes);
  }

  start(name: string, bytes: number): void {
    this.#started ??= performance.now();
    this.#work.start(escapeText(name, 200), bytes);
    this.#show();
  }

  add(bytes: number): void {
    this.#work.add(bytes);
    if (this.#out !== undefined && performance.now() - this.#shown >= INTERVAL) this.#show();
  }

  /** So many bytes of the piece turned out to be no work: holes, say. */
  skip(bytes: number): void {
    this.#work.skip(bytes);
  }

  finish(): void {
    this.#work.finish();
  }

  /** Shows what is waited for, in the place of how far the work is; undefined: it has come. */
  wait(text: string | undefined): void {
    if (text === undefined) this.clear();
    else this.#write(escapeText(text, 300));
  }

  /** Clears the line; call before anything else is printed. */
  clear(): void {
    this.#write('');
  }

  #show(): void {
    if (this.#out === undefined) return;
    this.#shown = performance.now();
    const { done, total, label } = this.#work;
    const seconds = (this.#shown - (this.#started ?? this.#shown)) / 1000;
    const text = this.#task === '' ? label : `${this.#task} ${label}`;
    this.#write(progressLine({ label: text, done, total, seconds }, usableColumns(this.#out)));
  }

  #write(line: string): void {
    if (this.#out !== undefined) redraw(this.#out, line);
  }
}
