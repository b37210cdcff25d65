/**
 * Lists an archive from the names of folders and small files, without a lock. A lost or damaged volume, session or slot
 * is left out and reported, and does not affect the others.
 */
import { join } from 'node:path';
import { isId, isSlotName, type SessionName, type VolumeId } from '../../../../shared/archive/names.ts';
import { Refusal, attempt, isLoss } from '../../refusal.ts';
import type { OnLost, SessionSummary, Slot, StoredHead, VolumeSummary } from '../../store.ts';
import type { Disk } from '../disk/disk.ts';
import { MAX_SMALL } from './max-lengths.ts';
import { readOwn } from '../disk/own-file.ts';
import { KEYS, VOLUMES, VOLUME_NAME, volumeFolder } from './paths.ts';
import type { ArchivePlace } from './volume-place.ts';
import { isProtected } from './protection.ts';
import { readHead } from './read-head.ts';
import { listSessions, type StoredSession } from './sessions.ts';
import { readSize } from './size-file.ts';
import { readSmall } from '../disk/small-file.ts';
import { readStats } from './session-stats.ts';

type Where = Pick<ArchivePlace, 'disk' | 'archive'>;

/** Returns undefined for a loss, which is reported to `onLost`; without `onLost` it throws. */
function unlessLost<T, Name>(name: Name, onLost: OnLost<Name> | undefined, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (onLost === undefined || !isLoss(error)) throw error;
    onLost(name, error);
    return undefined;
  }
}

export function volumeIds({ disk, archive }: Where): VolumeId[] {
  const names = attempt(`list ${VOLUMES}`, () => disk.list(join(archive, VOLUMES)).sort());
  return names.filter(isId) as VolumeId[];
}

export function sessionsOf({ disk, archive }: Where, volume: VolumeId): StoredSession[] {
  const name = volumeFolder(volume);
  return attempt(`list ${name}`, () => listSessions(disk, join(archive, name), name));
}

export function* listVolumes(
  where: Where,
  onLost: OnLost<VolumeId> | undefined,
): Generator<VolumeSummary, void, undefined> {
  for (const volume of volumeIds(where)) {
    const found = unlessLost(volume, onLost, () => sessionsOf(where, volume).filter(({ hidden }) => !hidden));
    if (found === undefined || found.length === 0) continue;
    const sessions = found.map((each) => summaryOf(where.disk, each));
    yield { volume, name: nameOf(where, volume), sessions };
  }
}

function nameOf({ disk, archive }: Where, volume: VolumeId): string | undefined {
  const bytes = readOwn(disk, join(archive, volumeFolder(volume), VOLUME_NAME), MAX_SMALL);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString().trimEnd();
}

function summaryOf(disk: Disk, { session, path }: StoredSession): SessionSummary {
  const stats = readStats(disk, path) ?? { ...UNCOUNTED, sizeBytes: sizeIfKnown(disk, path) };
  return { session, ...stats, protected: isProtected(disk, path) };
}

const UNCOUNTED = { files: 0, zeros: 0, storedBytes: 0, committed: undefined };

function sizeIfKnown(disk: Disk, session: string): number {
  const size = readSize(disk, session);
  return size === Infinity ? 0 : size;
}

export function* listHeads(
  where: Where,
  volume: VolumeId,
  sessions: readonly SessionName[],
  onLost: OnLost<SessionName> | undefined,
): Generator<StoredHead, void, undefined> {
  const asked = new Set(sessions);
  for (const each of sessionsOf(where, volume)) {
    if (each.hidden || (asked.size > 0 && !asked.has(each.session))) continue;
    const head = headOf(where.disk, volumeFolder(volume), each, onLost);
    if (head !== undefined) yield head;
  }
}

/** Undefined also if the session was removed meanwhile. */
function headOf(
  disk: Disk,
  volumeName: string,
  session: StoredSession,
  onLost: OnLost<SessionName> | undefined,
): StoredHead | undefined {
  try {
    return attempt(`read ${volumeName}`, () => readHead({ disk, volumeName }, session));
  } catch (error) {
    if (attempt(`read ${volumeName}`, () => disk.kindOf(session.path)) === undefined) return undefined;
    if (onLost === undefined || !isLoss(error)) throw error;
    onLost(session.session, error);
    return undefined;
  }
}

export function* listSlots(
  { disk, archive }: Where,
  onLost: OnLost<string> | undefined,
): Generator<Slot, void, undefined> {
  const keys = join(archive, KEYS);
  // If the folder is missing there are none; the next put of a slot creates it.
  const names = attempt(`list ${KEYS}`, () => (disk.kindOf(keys) === undefined ? [] : disk.list(keys).sort()));
  for (const name of names) {
    if (!isSlotName(name)) continue;
    const path = `${KEYS}/${name}`;
    const data = unlessLost(name, onLost, () => attempt(`read ${path}`, () => readSlot(disk, archive, path)));
    if (data !== undefined) yield { name, data };
  }
}

function readSlot(disk: Disk, archive: string, path: string): Uint8Array | undefined {
  const data = readSmall(disk, join(archive, path), path, MAX_SMALL);
  if (data?.length === 0) throw new Refusal('io', `${path} is empty`);
  return data;
}
