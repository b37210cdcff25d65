/**
 * The names that both sides validate by grammar: archives, sessions, volume ids, slots. A name from the other side is
 * used only after it passed these checks.
 */
import { SparsebakError } from '../errors.ts';
import { LATEST_CLOCK } from './clock-doubt.ts';

declare const brand: unique symbol;

/** `S_YYYYMMDD-HHMMSS`, UTC. Order is by name. */
export type SessionName = string & { readonly [brand]: 'SessionName' };
export type ArchiveName = string & { readonly [brand]: 'ArchiveName' };
/** 32 lower-case hexadecimal digits: 128 random bits. */
export type VolumeId = string & { readonly [brand]: 'VolumeId' };
/** 32 lower-case hexadecimal digits: identifies one send, and so the head that a delta map is relative to. */
export type PairingId = string & { readonly [brand]: 'PairingId' };
/** 32 lower-case hexadecimal digits. */
export type ArchiveId = string & { readonly [brand]: 'ArchiveId' };

const SESSION_NAME = /^S_(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})$/;
const ARCHIVE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const ID = /^[0-9a-f]{32}$/;
const SLOT_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** A session's name is a real UTC time between the years 1970 and 9999. */
export function isSessionName(text: string): text is SessionName {
  const time = timeOf(text);
  // A month 13 or a minute 61 changes when the time is formatted again. There may be ten thousands of names.
  if (time === undefined) return false;
  const date = new Date(time);
  return (
    date.getUTCFullYear() === Number(text.slice(2, 6)) &&
    date.getUTCMonth() + 1 === Number(text.slice(6, 8)) &&
    date.getUTCDate() === Number(text.slice(8, 10)) &&
    date.getUTCHours() === Number(text.slice(11, 13)) &&
    date.getUTCMinutes() === Number(text.slice(13, 15)) &&
    date.getUTCSeconds() === Number(text.slice(15, 17))
  );
}

export function isArchiveName(text: string): text is ArchiveName {
  return ARCHIVE_NAME.test(text) && !text.includes('..');
}

export function isId(text: string): boolean {
  return ID.test(text);
}

export function isSlotName(text: string): boolean {
  return SLOT_NAME.test(text);
}

/** Milliseconds since 1970. */
export function sessionTime(session: SessionName): number {
  return timeOf(session) ?? 0;
}

/** Milliseconds since 1970 of a well-formed name; undefined otherwise. */
function timeOf(text: string): number | undefined {
  const match = SESSION_NAME.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function formatSessionName(milliseconds: number): string {
  const iso = new Date(milliseconds).toISOString();
  return `S_${iso.slice(0, 10).replaceAll('-', '')}-${iso.slice(11, 19).replaceAll(':', '')}`;
}

/** The last second that a name can express. */
const LAST_NAME = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * max(now, newest + 1 s): names only ever grow, whatever the clock does. A clock past LATEST_CLOCK is ignored, so that
 * it cannot use up the names; if an older archive has a name of the year 9999, names continue from that.
 * @param now in milliseconds since 1970
 * @throws `failed` if there is no name above the newest
 */
export function nextSessionName(now: number, newest: SessionName | undefined): SessionName {
  const after = newest === undefined ? Math.min(now, LATEST_CLOCK) : sessionTime(newest) + 1000;
  const time = Math.max(0, now < LATEST_CLOCK ? now : 0, after);
  if (time > LAST_NAME) {
    throw new SparsebakError(
      'failed',
      `no session can have a name after ${newest ?? ''}, which is the archive's newest`,
      {
        hint: 'Make a new archive, and keep this one for its sessions.',
      },
    );
  }
  return formatSessionName(time) as SessionName;
}
