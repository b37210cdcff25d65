/** Which sessions are kept and which are removed, day by day: shown before the user confirms. */
import { sessionTime, type SessionName } from './names.ts';

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

interface Judged {
  readonly session: SessionName;
  /** When it was made, ISO 8601. */
  readonly time: string;
  /** Why it is kept; empty if it is removed. */
  readonly reasons: readonly string[];
}

/** Milliseconds by which a session's name may differ from its time before the name is misleading. */
const MISLEADING = 86_400_000;

/** Whether a session's name differs from the time at which it was made: a clock was wrong, then or earlier. */
export function isMisleading(session: SessionName, time: string): boolean {
  return Math.abs(sessionTime(session) - Date.parse(time)) > MISLEADING;
}

/**
 * One line per day, oldest first by name: `2026-11-23 Mon +02:00:00 -03:00:00`. `+`: kept, `-`: removed, `±`: kept for
 * some volumes and removed for others. A session's name follows in parentheses if it differs from the time.
 */
export function calendar(volumes: Iterable<readonly Judged[]>): string[] {
  const moments = new Map<SessionName, { time: string; readonly signs: Set<'+' | '-'> }>();
  for (const verdicts of volumes) {
    for (const { session, time, reasons } of verdicts) {
      const moment = moments.get(session) ?? { time, signs: new Set() };
      moment.signs.add(reasons.length > 0 ? '+' : '-');
      if (time < moment.time) moment.time = time;
      moments.set(session, moment);
    }
  }
  const days = new Map<string, string[]>();
  const byName = [...moments].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [session, { time, signs }] of byName) {
    const day = `${time.slice(0, 10)} ${WEEKDAYS[new Date(time).getUTCDay()] ?? ''}`;
    const [sign = '', ...more] = signs;
    const name = isMisleading(session, time) ? ` (${session})` : '';
    days.set(day, [...(days.get(day) ?? []), `${more.length > 0 ? '±' : sign}${time.slice(11, 19)}${name}`]);
  }
  return [...days].map(([day, marks]) => `${day}  ${marks.join('  ')}`);
}
