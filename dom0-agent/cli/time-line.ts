/** Draws sessions on a time line that fits a terminal: a row for each volume, higher where more changed. */
import { cutMiddle } from '../../shared/terminal/fit-width.ts';
import type { Paint } from '../../shared/terminal/colour.ts';
import { escapeText } from '../../shared/text.ts';

export interface DrawnVolume {
  readonly name: string;
  readonly isDamaged: boolean;
  readonly sessions: readonly { readonly time: string; readonly changedBytes: number }[];
}

export interface Drawing {
  /** Columns of the terminal. */
  readonly width: number;
  readonly unicode: boolean;
  readonly paint: Paint;
}

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LETTERS = ['.', ':', '|', '#'];
const SHORTEST_NAME = 12;
/** Columns of the line, at most: in a wider one the sessions of a year would be far apart. */
const WIDEST = 120;
/** Room for the two ends of the axis. */
const NARROWEST = 22;
const DAY = 86_400_000;

/** Empty if no line can be drawn: one run of many volumes is one moment, which has no length. */
export function timeLine(volumes: readonly DrawnVolume[], { width, unicode, paint }: Drawing): string[] {
  const times = volumes.flatMap(({ sessions }) => sessions.map(({ time }) => Date.parse(time)));
  const [first, last] = times.reduce(([low, high], time) => [Math.min(low, time), Math.max(high, time)], [Infinity, 0]);
  const names = volumes.map(({ name }) => escapeText(name, 4096));
  const longest = Math.max(...names.map(({ length }) => length));
  const label = Math.min(longest, Math.max(SHORTEST_NAME, Math.floor(width / 3)));
  const columns = Math.min(WIDEST, width - 1 - label - 2);
  const isOneRun = volumes.every(({ sessions }) => sessions.length < 2);
  if (isOneRun || !(last > first) || columns < NARROWEST) return [];
  const rows = volumes.map(({ sessions, isDamaged }, at) => {
    const sums = sumsOf(sessions, { first, last, columns });
    const name = cutMiddle(names[at] ?? '', label).padEnd(label);
    return `${isDamaged ? paint('red', name) : name}  ${paint('cyan', drawn(sums, unicode ? BLOCKS : LETTERS))}`;
  });
  const [from, to] = [first, last].map((time) => shownTime(time, last - first, columns));
  const axis = `${from ?? ''}${(to ?? '').padStart(columns - (from ?? '').length)}`;
  return [...rows, paint('dim', `${' '.repeat(label)}  ${axis}`)];
}

interface Axis {
  readonly first: number;
  readonly last: number;
  readonly columns: number;
}

/** Changed bytes by column; undefined where there is no session. */
function sumsOf(sessions: DrawnVolume['sessions'], { first, last, columns }: Axis): (number | undefined)[] {
  const sums = Array.from({ length: columns }, (): number | undefined => undefined);
  for (const { time, changedBytes } of sessions) {
    const column = Math.round(((Date.parse(time) - first) / (last - first)) * (columns - 1));
    sums[column] = (sums[column] ?? 0) + changedBytes;
  }
  return sums;
}

/** Heights are logarithmic between the least and the most that changed. */
function drawn(sums: readonly (number | undefined)[], levels: readonly string[]): string {
  const known = sums.filter((sum) => sum !== undefined);
  const [least, most] = [Math.log(1 + Math.min(...known)), Math.log(1 + Math.max(...known))];
  const height = (sum: number) => (most === least ? 0 : (Math.log(1 + sum) - least) / (most - least));
  const at = (sum: number) => levels[Math.round(height(sum) * (levels.length - 1))] ?? '';
  return sums.map((sum) => (sum === undefined ? ' ' : at(sum))).join('');
}

/** Of an axis so long; within a day its two ends would be the same day, within an hour the same minute. */
function shownTime(time: number, length: number, columns: number): string {
  const text = new Date(time).toISOString();
  if (length < DAY / 24) return text.slice(11, 19);
  return length < 2 * DAY && columns > 34 ? text.slice(0, 16).replace('T', ' ') : text.slice(0, 10);
}
