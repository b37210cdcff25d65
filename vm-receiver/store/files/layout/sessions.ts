/**
 * A volume's sessions on the disk. One that is being pruned is hidden, but stays in the overlay, and its name stays
 * taken.
 */
import { join } from 'node:path';
import { isSessionName, type SessionName } from '../../../../shared/archive/names.ts';
import { Refusal } from '../../refusal.ts';
import type { Disk } from '../disk/disk.ts';
import { readOwn } from '../disk/own-file.ts';
import { NEWEST_EVER, sessionOf } from './paths.ts';

export interface StoredSession {
  readonly session: SessionName;
  readonly hidden: boolean;
  /** Its folder's path. */
  readonly path: string;
}

/** All sessions of a volume, oldest first, including hidden ones; none if there is no such volume. */
export function listSessions(disk: Disk, volume: string, name: string): StoredSession[] {
  const kind = disk.kindOf(volume);
  if (kind === undefined) return [];
  if (kind !== 'folder') throw new Refusal('io', `${name} is not a folder`);
  const found: StoredSession[] = [];
  for (const folder of disk.list(volume).sort()) {
    const stored = sessionOf(folder);
    if (stored === undefined) continue;
    const path = join(volume, folder);
    // Ignoring it would make an older one the newest: the user must decide what it is.
    if (disk.kindOf(path) !== 'folder') {
      throw new Refusal('io', `${name}/${folder} has a session's name and is not a folder`, {
        hint: 'Move it out of the archive.',
      });
    }
    found.push({ ...stored, path });
  }
  return found;
}

export function newestVisible(sessions: readonly StoredSession[]): StoredSession | undefined {
  return sessions.findLast((each) => !each.hidden);
}

/** The highest session name that the volume ever had, so that no name is used twice. */
export function newestEver(disk: Disk, volume: string, sessions: readonly StoredSession[]): SessionName | undefined {
  const present = sessions.at(-1)?.session;
  const recorded = Buffer.from(readOwn(disk, join(volume, NEWEST_EVER), 64) ?? '')
    .toString()
    .trimEnd();
  if (!isSessionName(recorded)) return present;
  return present === undefined || recorded > present ? recorded : present;
}
