/** A calendar of one volume's sessions: a column for each week, a cell for each day (UTC), darker the more changed. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { ReportedSession } from './document.ts';
import { markup, type Html } from './html.ts';

const DAY = 86_400_000;
const WEEKS = 26;
/** Of a cell with its gap, in units of the drawing. */
const STEP = 12;
const CELL = 10;
/** Room for the names of months. */
const TOP = 14;
const LEVELS = 4;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

interface Day {
  sessions: number;
  bytes: number;
}

/** @param end the last day that is shown, in milliseconds since 1970 */
export function calendar(sessions: readonly ReportedSession[], end: number): Html {
  const today = Math.floor(end / DAY);
  // Weeks begin on Monday; day 0 of 1970 was a Thursday.
  const first = today - ((today + 3) % 7) - 7 * (WEEKS - 1);
  const days = byDay(sessions);
  // The first session of all would make every other one pale.
  const bytes = [...days.values()].map((day) => day.bytes).sort((a, b) => a - b);
  const range = [bytes[0] ?? 0, bytes.at(-2) ?? bytes[0] ?? 0] as const;
  const cells = Array.from({ length: today - first + 1 }, (_, at) => {
    const day = first + at;
    const found = days.get(day);
    const [x, y] = [Math.floor(at / 7) * STEP, TOP + (at % 7) * STEP];
    return markup`<rect x="${x}" y="${y}" width="${CELL}" height="${CELL}" rx="2" class="l${levelOf(found, range)}"
      ><title>${describe(day, found)}</title></rect
    >`;
  });
  const shown = [...days].filter(([day]) => day >= first).reduce((sum, [, { sessions: count }]) => sum + count, 0);
  const label = `${shown} sessions in the last ${WEEKS} weeks`;
  return markup`<svg class="calendar" viewBox="0 0 ${WEEKS * STEP} ${TOP + 7 * STEP}" role="img" aria-label="${label}">
    ${monthNames(first)}${cells}
  </svg>`;
}

function byDay(sessions: readonly ReportedSession[]): Map<number, Day> {
  const days = new Map<number, Day>();
  for (const { time, changedBytes } of sessions) {
    const day = Math.floor(Date.parse(time) / DAY);
    const found = days.get(day) ?? { sessions: 0, bytes: 0 };
    days.set(day, found);
    found.sessions += 1;
    found.bytes += changedBytes;
  }
  return days;
}

/** 0: no session. Logarithmic, since a first session is a thousand times larger than others. */
function levelOf(day: Day | undefined, [least, most]: readonly [number, number]): number {
  if (day === undefined) return 0;
  const share = Math.log((1 + day.bytes) / (1 + least)) / Math.log((2 + most) / (1 + least));
  return 1 + Math.floor(Math.min(0.999, share) * LEVELS);
}

function describe(day: number, found: Day | undefined): string {
  const date = new Date(day * DAY).toISOString().slice(0, 10);
  if (found === undefined) return `${date}: no session`;
  const count = `${found.sessions} ${found.sessions === 1 ? 'session' : 'sessions'}`;
  return `${date}: ${count}, ${formatBytes(found.bytes)} changed`;
}

/** Above the week in which a month begins. */
function monthNames(first: number): Html[] {
  return Array.from({ length: WEEKS }, (_, week) => {
    const days = Array.from({ length: 7 }, (_, at) => new Date((first + 7 * week + at) * DAY));
    const begins = days.find((date) => date.getUTCDate() === 1);
    if (begins === undefined || week > WEEKS - 2) return markup``;
    return markup`<text x="${week * STEP}" y="10">${MONTHS[begins.getUTCMonth()] ?? ''}</text>`;
  });
}
