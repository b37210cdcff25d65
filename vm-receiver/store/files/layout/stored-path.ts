/** The path of a stored file in its volume: `session/file`, or `session/range/file`. */
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import { isSessionName, type SessionName } from '../../../../shared/archive/names.ts';
import type { Disk } from '../disk/disk.ts';
import { OverlaySources } from './overlay-source.ts';
import { PAGE, firstAddressOf } from './paths.ts';
import type { StoredSession } from './sessions.ts';
import { readSize } from './size-file.ts';

export interface StoredPath {
  readonly session: SessionName;
  /** A folder's name; undefined for a file of the session itself. */
  readonly range: string | undefined;
  readonly file: string;
}

/** Undefined for an invalid path. */
export function parseStoredPath(text: string): StoredPath | undefined {
  const [session = '', second = '', third] = text.split('/');
  if (!isSessionName(session)) return undefined;
  if (third === undefined) return { session, range: undefined, file: second };
  return RANGE_FOLDER_NAME.test(second) ? { session, range: second, file: third } : undefined;
}

export function formatStoredPath({ session, range, file }: StoredPath): string {
  return range === undefined ? `${session}/${file}` : `${session}/${range}/${file}`;
}

/** The address that decides whether the file is within a volume's size; undefined if it has none. */
export function addressOf({ range, file }: StoredPath): number | undefined {
  if (range === undefined) return undefined;
  if (file === PAGE) return firstAddressOf(range);
  return CHUNK_FILE_NAME.test(file) ? parseInt(file, 16) : undefined;
}

/**
 * The sessions that cannot be restored completely without it: its own, and all newer ones that use it. `sessions`:
 * oldest first.
 */
export function sessionsDamagedBy(disk: Disk, sessions: readonly StoredSession[], place: StoredPath): SessionName[] {
  const from = sessions.findIndex(({ session }) => session === place.session);
  const address = addressOf(place);
  if (from < 0) return [];
  if (place.range === undefined || address === undefined) return [place.session];
  const damaged: SessionName[] = [];
  for (const [at, each] of sessions.entries()) {
    if (at < from) continue;
    const ownFile = at > from && new OverlaySources(disk, [each]).find(place.range, place.file) !== undefined;
    if (ownFile) break;
    if (!each.hidden && address < readSize(disk, each.path)) damaged.push(each.session);
  }
  return damaged;
}
