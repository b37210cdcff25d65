/** One line on a terminal's stderr for long work: what, how far, how fast, how long yet. Nothing off a terminal. */
import { escapeText } from '../../shared/text.ts';
import { formatBytes, formatSeconds } from './output.ts';

const INTERVAL = 200;

export class Progress {
  readonly #out: NodeJS.WriteStream | undefined;
  #label = '';
  #total = 0;
  #done = 0;
  #started = Date.now();
  #shown = 0;

  /** @param quiet shows nothing (JSON output, no terminal) */
  constructor(quiet: boolean) {
    this.#out = quiet || !process.stderr.isTTY ? undefined : process.stderr;
  }

  /** A new piece of work of so many bytes. */
  begin(label: string, total: number): void {
    this.#label = escapeText(label, 200);
    this.#total = total;
    this.#done = 0;
    this.#started = Date.now();
    this.#shown = 0;
    this.#show();
  }

  add(bytes: number): void {
    this.#done += bytes;
    if (this.#out !== undefined && Date.now() - this.#shown >= INTERVAL) this.#show();
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
    this.#shown = Date.now();
    const seconds = (this.#shown - this.#started) / 1000;
    const rate = seconds > 0.5 ? this.#done / seconds : 0;
    const left = rate > 0 ? Math.max(0, this.#total - this.#done) / rate : undefined;
    const percent = this.#total > 0 ? Math.min(100, Math.floor((100 * this.#done) / this.#total)) : 0;
    const parts = [
      this.#label,
      `${percent} %`,
      `${formatBytes(this.#done)} of ${formatBytes(this.#total)}`,
      ...(rate > 0 ? [`${formatBytes(rate)}/s`] : []),
      ...(left === undefined ? [] : [`${formatSeconds(left)} left`]),
    ];
    this.#write(parts.join('  '));
  }

  #write(line: string): void {
    this.#out?.write(`\r\x1b[K${line.slice(0, Math.max(20, (this.#out.columns || 80) - 1))}`);
  }
}
