/**
 * A progress line on a terminal's stderr for long work: the task, progress of the whole run, rate, time left. Nothing
 * without a terminal.
 */
import { progressLine, redraw, usableColumns } from '../../shared/terminal/progress-line.ts';
import { Work } from '../../shared/terminal/work-progress.ts';
import { escapeText } from '../../shared/text.ts';

/** Milliseconds between two updates. */
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

  /** @param task what is done to the pieces, for example `restoring` */
  begin(task: string): void {
    this.#task = task;
  }

  /** Announces a piece of work; `bytes` as far as is known. */
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

  /** Bytes of the piece that need no work, for example holes. */
  skip(bytes: number): void {
    this.#work.skip(bytes);
  }

  finish(): void {
    this.#work.finish();
  }

  /** Shows what the command is waiting for instead of the progress; undefined ends that. */
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
