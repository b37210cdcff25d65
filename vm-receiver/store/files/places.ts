/**
 * Where something stored lies in its volume: `session/file`, or `session/range/file`.
 */
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../shared/archive/address.ts';
import { isSessionName, type SessionName } from '../../../shared/archive/names.ts';
import type { Disk } from './disk.ts';
import { Holders } from './holders.ts';
import { PAGE, firstAddressOf } from './paths.ts';
import type { StoredSession } from './sessions.ts';
import { readSize } from './size.ts';

export interface Place {
  readonly session: SessionName;
  /** A folder's name; undefined for a file of the session itself. */
  readonly range: string | undefined;
  readonly file: string;
}

/** Undefined for what is no place. */
export function parsePlace(text: string): Place | undefined {
  const [session = '', second = '', third] = text.split('/');
  if (!isSessionName(session)) return undefined;
  if (third === undefined) return { session, range: undefined, file: second };
  return RANGE_FOLDER_NAME.test(second) ? { session, range: second, file: third } : undefined;
}

export function showPlace({ session, range, file }: Place): string {
  return range === undefined ? `${session}/${file}` : `${session}/${range}/${file}`;
}

/** The address that decides whether it lies within a volume's size; undefined for what has none. */
export function addressOf({ range, file }: Place): number | undefined {
  if (range === undefined) return undefined;
  if (file === PAGE) return firstAddressOf(range);
  return CHUNK_FILE_NAME.test(file) ? parseInt(file, 16) : undefined;
}

/**
 * The sessions that cannot be had whole without it: its own, and all newer ones that have it from there. `sessions`: oldest
 * first.
 */
export function sessionsHurtBy(disk: Disk, sessions: readonly StoredSession[], place: Place): SessionName[] {
  const from = sessions.findIndex(({ session }) => session === place.session);
  const address = addressOf(place);
  if (from < 0) return [];
  if (place.range === undefined || address === undefined) return [place.session];
  const hurt: SessionName[] = [];
  for (const [at, each] of sessions.entries()) {
    if (at < from) continue;
    const ownFile = at > from && new Holders(disk, [each]).find(place.range, place.file) !== undefined;
    if (ownFile) break;
    if (!each.hidden && address < readSize(disk, each.path)) hurt.push(each.session);
  }
  return hurt;
}
