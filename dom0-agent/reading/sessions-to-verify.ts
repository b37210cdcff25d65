/** The sessions that `verify` reads, and those that cannot be read: without a valid head, or missing. */
import { isSessionName, type SessionName } from '../../shared/archive/names.ts';
import { reportOf, type ErrorReport, type SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { newestHeadLost } from '../proven-archive/newest-head.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { Listing, ProvenSession } from '../proven-archive/proven-reader.ts';
import { Unproven, provenSessions } from '../proven-archive/session-heads.ts';
import { isVolumeError, namingVolume } from '../proven-archive/volume-error.ts';
import {
  namedVolumes,
  newestFault,
  noSessionName,
  noSuchSession,
  tooManySessions,
} from '../proven-archive/find-session.ts';
import type { CorruptChunk } from './read-content.ts';

/** The result of `verify` for one session (docs/cli.md describes it as JSON). */
export interface VerifiedSession {
  readonly name: string;
  readonly session: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly badChunks: number;
  readonly bad: readonly CorruptChunk[];
  readonly error?: ErrorReport;
  /** How many more sessions of the volume failed in the same way and are not listed. */
  readonly alike?: number;
}

export interface VolumeToVerify {
  readonly volume: CatalogueVolume;
  /** The sessions that the receiver lists, oldest first, and the newest according to the catalogue. */
  readonly sessions: readonly SessionName[];
}

export interface Choice {
  readonly session?: string;
  readonly allSessions?: boolean;
}

/** @throws `usage` for an invalid session name, `not-found` if a named volume, or every volume, has no such session */
export function volumesToVerify(
  archive: OpenArchive,
  stored: Listing,
  names: readonly string[],
  { session, allSessions }: Choice,
): VolumeToVerify[] {
  const volumes = namedVolumes(archive, names);
  if (session === undefined) {
    return volumes.map((volume) => {
      const newest = volume.session === null ? [] : [volume.session];
      const sessions = allSessions === true ? [...new Set([...stored.names(volume.id), ...newest])] : newest;
      return { volume, sessions };
    });
  }
  if (!isSessionName(session)) throw noSessionName(session);
  const having = volumes.filter(({ id }) => stored.names(id).includes(session));
  const missing = volumes.find((volume) => !having.includes(volume));
  if (missing !== undefined && (names.length > 0 || having.length === 0)) {
    throw noSuchSession(missing.name, session, stored.names(missing.id));
  }
  return having.map((volume) => ({ volume, sessions: [session] }));
}

export type SessionToVerify =
  | { readonly kind: 'proven'; readonly session: ProvenSession }
  | { readonly kind: 'failed'; readonly row: VerifiedSession };

/**
 * The sessions of a volume, each with its proven head, and then those without one. @throws any error that ends the
 * connection
 */
export async function* sessionsToVerify(
  archive: OpenArchive,
  stored: Listing,
  { volume, sessions }: VolumeToVerify,
): AsyncGenerator<SessionToVerify> {
  const { id, name, session: newest, head } = volume;
  const there = new Set(stored.names(id));
  const expected = newest === null || head === null ? undefined : { session: newest, hash: head };
  const unproven = new Unproven();
  const wanted = { volume: id, sessions: sessions.filter((each) => there.has(each)), expected };
  try {
    for await (const some of provenSessions(archive.reader, wanted, unproven)) {
      for (const session of some) yield { kind: 'proven', session };
    }
  } catch (error) {
    if (!isVolumeError(error, archive.client)) throw error;
    const fault = namingVolume(error, { id, name, hint: SEE_CHECK });
    yield { kind: 'failed', row: failedRow(name, sessions.at(-1) ?? '', fault) };
  }
  for (const row of unprovenRows(volume, unproven)) yield { kind: 'failed', row };
  const surplus = stored.surplus.get(id);
  if (surplus !== undefined && sessions.length > 1) {
    const row = failedRow(name, surplus.oldest, tooManySessions(name, surplus));
    yield { kind: 'failed', row: { ...row, alike: surplus.count - 1 } };
  }
  // The newest by the catalogue, also if the receiver does not list it: then it is missing, which must be reported.
  const missing = newest !== null && sessions.includes(newest) ? newestFault(volume, stored) : undefined;
  if (newest !== null && missing !== undefined) yield { kind: 'failed', row: failedRow(name, newest, missing) };
}

/** One row for each named session; the last row counts those that are not named. */
function* unprovenRows(
  { id, name, session: newest }: CatalogueVolume,
  { named, count }: Unproven,
): Generator<VerifiedSession> {
  const others = count - named.size;
  let left = named.size;
  for (const [session, fault] of named) {
    left--;
    const error =
      session === newest
        ? newestHeadLost({ id, name, session }, fault)
        : namingVolume(fault, { id, name, session, hint: SEE_CHECK });
    const row = failedRow(name, session, error);
    yield left === 0 && others > 0 ? { ...row, alike: others } : row;
  }
}

/** The hint for a session that cannot be read. */
export const SEE_CHECK =
  'Other sessions and volumes may be intact, as the table shows. "sparsebak-receiver check" and "scrub" in the ' +
  'backup VM show what is missing there.';

export function failedRow(name: string, session: string, error: SparsebakError): VerifiedSession {
  return { name, session, chunks: 0, bytes: 0, badChunks: 0, bad: [], error: reportOf(error) };
}

/** Leaves out sessions that were pruned after the receiver listed them: they are not missing. */
export async function withoutPruned(
  { reader, pinned, client }: OpenArchive,
  rows: readonly VerifiedSession[],
): Promise<readonly VerifiedSession[]> {
  const isWhole = ({ badChunks, error }: VerifiedSession): boolean => badChunks === 0 && error === undefined;
  if (rows.every(isWhole) || client.failure !== undefined) return rows;
  const now = await reader.volumes();
  return rows.filter((row) => {
    if (isWhole(row)) return true;
    const volume = pinned.catalogue.volumes.find(({ name, state }) => name === row.name && state === 'active');
    if (volume === undefined || volume.session === row.session || now.surplus.has(volume.id)) return true;
    return now.names(volume.id).some((each) => each === row.session);
  });
}
