/**
 * One line on a terminal's stderr for long work: what, how far of the whole run, how fast, how long yet. Nothing off a terminal.
 */
import { cutMiddle } from '../../shared/terminal/cut.ts';
import { Work } from '../../shared/terminal/work.ts';
import { escapeText } from '../../shared/text.ts';
import { formatBytes, formatSeconds } from './output.ts';

/** Milliseconds between two looks. */
const INTERVAL = 200;
/** What is left of a name in a narrow line. */
const SHORTEST_NAME = 16;

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

  /** Takes the line away; call before anything else is printed. */
  clear(): void {
    this.#out?.write('\r\x1b[K');
  }

  #show(): void {
    if (this.#out === undefined) return;
    this.#shown = performance.now();
    const { done, total, label } = this.#work;
    const seconds = (this.#shown - (this.#started ?? this.#shown)) / 1000;
    const rate = seconds > 0.5 ? done / seconds : 0;
    const figures = [
      ...(total > 0 ? [`${Math.floor((100 * done) / total)} %`, `${formatBytes(done)} of ${formatBytes(total)}`] : []),
      ...(rate > 0 ? [`${formatBytes(rate)}/s`, `${formatSeconds((total - done) / rate)} left`] : []),
    ];
    const text = this.#task === '' ? label : `${this.#task} ${label}`;
    const room = this.#columns - figures.reduce((sum, { length }) => sum + length + 2, 0);
    this.#write([cutMiddle(text, Math.max(SHORTEST_NAME, room)), ...figures].join('  '));
  }

  /** One less than there are: a full line would wrap. */
  get #columns(): number {
    const columns = this.#out?.columns ?? 0;
    return Math.max(20, (columns > 0 ? columns : 80) - 1);
  }

  #write(line: string): void {
    this.#out?.write(`\r\x1b[K${line.slice(0, this.#columns)}`);
  }
}
