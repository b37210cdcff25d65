/**
 * Compares this computer's clock with an archive's newest session. dom0 notes the time of that session, so that
 * `status` can compare without asking the receiver.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LATEST_CLOCK, doubtOf, type ClockDoubt } from '../../shared/archive/clock-doubt.ts';
import { sessionTime, type SessionName } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { ArchiveState } from './archive-state.ts';
import { Pin } from './pin.ts';

export interface NewestSession {
  readonly session: SessionName;
  /** When it was made, in milliseconds since 1970. */
  readonly time: number;
}

/** As shown to the user; times in ISO 8601. */
export interface ClockReport {
  readonly doubt: ClockDoubt;
  readonly now: string;
  /** Null if the archive has none. */
  readonly newest: { readonly session: SessionName; readonly time: string } | null;
}

/** Null if the clock is not doubtful. @param now in milliseconds since 1970 */
export function clockReport(now: number, newest: NewestSession | undefined): ClockReport | null {
  const doubt = doubtOf(now, newest?.time);
  if (doubt === undefined) return null;
  return {
    doubt,
    now: new Date(now).toISOString(),
    newest: newest === undefined ? null : { session: newest.session, time: new Date(newest.time).toISOString() },
  };
}

export function describeClock({ doubt, now, newest }: ClockReport): string {
  const clock = `Check the clock of this computer: it says ${minute(now)} UTC`;
  if (doubt === 'past-2100' || newest === null) return `${clock}, past the year 2100.`;
  const session = `the newest session, ${newest.session}, which was made at ${minute(newest.time)} UTC`;
  return `${clock}, ${doubt === 'earlier' ? 'earlier than' : 'more than 400 days after'} ${session}.`;
}

function minute(iso: string): string {
  return iso.replace('T', ' ').replace(/:\d\d\.\d+Z$/, '');
}

/** The end of the year 9999: later times have no four-digit year. */
const END = Date.UTC(10_000, 0, 1);

/** @throws `failed` past the year 2100, unless that is `accepted`; past the year 9999 in any case */
export function refuseLateClock(now: number, accepted: boolean): void {
  if (now < LATEST_CLOCK || (accepted && now < END)) return;
  throw new SparsebakError('failed', `this computer's clock says ${minute(new Date(now).toISOString())} UTC`, {
    hint: now < END ? 'Set it right. If it is right, send with --accept-clock.' : 'Set it right.',
  });
}

/** The newest by name. */
export function newestOf(sessions: Iterable<NewestSession>): NewestSession | undefined {
  let newest: NewestSession | undefined;
  for (const each of sessions) {
    const later = each.session === newest?.session && each.time > newest.time;
    if (newest === undefined || each.session > newest.session || later) newest = each;
  }
  return newest;
}

const FILE = 'newest-session';

/** If the state cannot be written, nothing is noted; the next send tries again. @param folder of the archive's state */
export function noteNewest(folder: string, newest: NewestSession): void {
  const text = `${newest.session} ${newest.time}\n`;
  try {
    if (readNote(folder) !== text) writeDurably(join(folder, FILE), text);
  } catch {
    // `status` then uses the time in the session's name.
  }
}

/**
 * Checks the clock by what dom0 knows of the archive, without asking the receiver. @param now in milliseconds since
 * 1970
 */
export function localClock(state: ArchiveState, now: number): ClockReport | null {
  const { volumes } = new Pin(state).known.catalogue;
  const newest = volumes
    .flatMap(({ session }) => session ?? [])
    .sort()
    .at(-1);
  return clockReport(now, newest === undefined ? undefined : asNoted(state.folder, newest));
}

/** When it was made, if that was noted; otherwise the time in its name. */
function asNoted(folder: string, session: SessionName): NewestSession {
  const [name, time = ''] = (readNote(folder) ?? '').trim().split(' ');
  return { session, time: name === session && /^\d{1,15}$/.test(time) ? Number(time) : sessionTime(session) };
}

function readNote(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, FILE), 'utf8');
  } catch {
    return undefined;
  }
}
