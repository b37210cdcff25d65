/**
 * What stays and what goes, day by day: for people, before they say yes.
 */
import { sessionTime, type SessionName } from './names.ts';

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

interface Judged {
  readonly session: SessionName;
  /** Why it stays; none for one that goes. */
  readonly reasons: readonly string[];
}

/**
 * A line a day, oldest first: `2026-11-23 Mon  +02:00:00  -03:00:00`. `+` stays, `-` goes, `±` stays of some volumes and
 * goes of others.
 */
export function calendar(volumes: Iterable<readonly Judged[]>): string[] {
  const signs = new Map<SessionName, Set<'+' | '-'>>();
  for (const verdicts of volumes) {
    for (const { session, reasons } of verdicts) {
      signs.set(session, (signs.get(session) ?? new Set()).add(reasons.length > 0 ? '+' : '-'));
    }
  }
  const days = new Map<string, string[]>();
  for (const session of [...signs.keys()].sort()) {
    const time = new Date(sessionTime(session));
    const [date = '', clock = ''] = time.toISOString().split('T');
    const day = `${date} ${WEEKDAYS[time.getUTCDay()] ?? ''}`;
    const [sign = '', ...more] = signs.get(session) ?? [];
    days.set(day, [...(days.get(day) ?? []), `${more.length > 0 ? '±' : sign}${clock.slice(0, 8)}`]);
  }
  return [...days].map(([day, marks]) => `${day}  ${marks.join('  ')}`);
}
