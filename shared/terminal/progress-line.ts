/** The line on a terminal's standard error that shows the progress of long work. */
import { cutMiddle } from './fit-width.ts';
import { formatBytes, formatSeconds } from './sizes.ts';

/** The shortest that a label is cut to in a narrow line, in columns. */
const SHORTEST_LABEL = 16;
/** Seconds before a rate is shown: it cannot be measured earlier. */
const FIRST_RATE = 0.5;

export interface Advance {
  readonly label: string;
  /** Bytes. */
  readonly done: number;
  /** Bytes; 0 if not known. */
  readonly total: number;
  /** Seconds since the work began. */
  readonly seconds: number;
}

/** `restoring a.img 37 % 1.46 GiB of 3.90 GiB 212 MiB/s 11 s left`, cut to the columns that a line may have. */
export function progressLine({ label, done, total, seconds }: Advance, columns: number): string {
  const rate = seconds > FIRST_RATE ? done / seconds : 0;
  const figures = [
    ...(total > 0 ? [`${Math.floor((100 * done) / total)} %`, `${formatBytes(done)} of ${formatBytes(total)}`] : []),
    ...(rate > 0 ? [`${formatBytes(rate)}/s`, `${formatSeconds((total - done) / rate)} left`] : []),
  ];
  const room = columns - figures.reduce((sum, { length }) => sum + length + 2, 0);
  return [cutMiddle(label, Math.max(SHORTEST_LABEL, room)), ...figures].join('  ');
}

/** Columns that a line may fill: one less than the terminal has, since a full line would wrap. */
export function usableColumns(terminal: NodeJS.WriteStream): number {
  const { columns } = terminal;
  return Math.max(20, (columns > 0 ? columns : 80) - 1);
}

/** Replaces the line; no text clears it. */
export function redraw(terminal: NodeJS.WriteStream, line = ''): void {
  terminal.write(`\r\x1b[K${line.slice(0, usableColumns(terminal))}`);
}
