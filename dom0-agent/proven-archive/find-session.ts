/** Finds the proven session for the names that a user gave. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { isSessionName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { parseArchiveName } from '../qubes/names.ts';
import type { Listing, Surplus } from './stored-listing.ts';
import type { OpenArchive } from './open-archive.ts';
import type { ProvenSession } from './proven-reader.ts';
import { isVolumeError, namingVolume } from './volume-error.ts';

/**
 * Volumes that the catalogue lists, by name; all if no names are given. @throws `not-found` for a name that it does not
 * list
 */
export function listedVolumes({ pinned }: OpenArchive, names: readonly string[]): CatalogueVolume[] {
  const active = pinned.catalogue.volumes.filter((volume) => volume.state === 'active');
  if (names.length === 0) return active.sort((a, b) => (a.name < b.name ? -1 : 1));
  return names.map((name) => {
    const found = active.find((volume) => volume.name === name);
    if (found !== undefined) return found;
    const [first, ...others] = ofQube(active, name);
    const hint =
      first === undefined
        ? 'See "sparsebak list".'
        : `It has the qube ${name}: see "sparsebak qube restore", or name one of its volumes: ` +
          `${[first, ...others].map((volume) => volume.name).join(', ')}.`;
    throw new SparsebakError('not-found', `the archive has no volume "${name}"`, { hint });
  });
}

/** The same, where a qube's name stands for all that the archive has of it. */
export function namedVolumes(archive: OpenArchive, names: readonly string[]): CatalogueVolume[] {
  const active = archive.pinned.catalogue.volumes.filter((volume) => volume.state === 'active');
  const full = names.flatMap((name) => {
    const own = active.some((volume) => volume.name === name) ? [] : ofQube(active, name);
    return own.length === 0 ? [name] : own.map((volume) => volume.name);
  });
  return listedVolumes(archive, [...new Set(full)]);
}

function ofQube(volumes: readonly CatalogueVolume[], qube: string): CatalogueVolume[] {
  return volumes.filter(({ name }) => parseArchiveName(name)?.qube === qube);
}

/**
 * Names of all sessions of one volume, oldest first, as the receiver lists them. The receiver must list all volumes for
 * this: use it for one volume per command only.
 */
export async function sessionNames({ reader }: OpenArchive, volume: VolumeId): Promise<SessionName[]> {
  return (await reader.volumes()).names(volume);
}

/**
 * One session of a volume, by default the newest.
 * @throws `not-found` for a session that does not exist, `rollback` if the newest is not the catalogue's
 */
export async function findSession(
  archive: OpenArchive,
  volume: CatalogueVolume,
  session: string | undefined,
): Promise<ProvenSession> {
  const listing = await archive.reader.volumes();
  const names = listing.names(volume.id);
  const wanted = session ?? volume.session;
  if (wanted === null) {
    throw new SparsebakError('not-found', `volume "${volume.name}" has no session`, { hint: 'See "sparsebak list".' });
  }
  if (!isSessionName(wanted)) {
    throw noSessionName(wanted);
  }
  if (!names.includes(wanted)) {
    throw session === undefined ? newestMissing(volume.name, wanted, names) : noSuchSession(volume.name, wanted, names);
  }
  try {
    const isNewest = wanted === volume.session;
    return await archive.reader.head(volume.id, wanted, isNewest ? (volume.head ?? undefined) : undefined);
  } catch (error) {
    if (!isVolumeError(error, archive.client)) throw error;
    const { code, message } = error;
    const { id, name } = volume;
    const hint =
      'The session cannot be restored. Others may be intact: restore one with --session: ' +
      `${newestOf(names, wanted)}.`;
    throw namingVolume(new SparsebakError(code, message, { cause: error }), { id, name, session: wanted, hint });
  }
}

/** The newest sessions other than one that cannot be used. */
function newestOf(names: readonly string[], but: string): string {
  return (
    names
      .filter((name) => name !== but)
      .slice(-8)
      .join(', ') || 'there is none'
  );
}

/**
 * Why the receiver's listing does not contain the newest session of the catalogue.
 * @returns undefined if it does
 */
export function newestFault(
  { id, name, session }: Pick<CatalogueVolume, 'id' | 'name' | 'session'>,
  listing: Listing,
): SparsebakError | undefined {
  const names = listing.names(id);
  if (session === null || names.includes(session)) return undefined;
  const lost = listing.lost.get(id);
  if (lost === undefined) return newestMissing(name, session, names);
  return new SparsebakError(
    'integrity',
    `the receiver cannot list the sessions of ${name}, of which ${session} is the newest: ${lost}`,
    {
      hint: `Examine volumes/${id} on the backup disk, and see "sparsebak-receiver check".`,
    },
  );
}

/** If the receiver lists more sessions than the archive can have, it made them up. */
export function tooManySessions(name: string, { count, oldest }: Surplus): SparsebakError {
  return new SparsebakError(
    'integrity',
    `the archive lists ${count} more sessions of ${name} than can exist (from ${oldest} on): they are left out`,
    { hint: 'The backup VM made them up, or folders were copied there; see "sparsebak-receiver list".' },
  );
}

export function noSessionName(text: string): SparsebakError {
  return new SparsebakError('usage', `"${text}" is not the name of a session`, {
    hint: 'Sessions are named like S_20261123-020000; see "sparsebak list".',
  });
}

export function noSuchSession(name: string, session: SessionName, there: readonly string[]): SparsebakError {
  const newest = there.slice(-8).join(', ');
  return new SparsebakError('not-found', `volume "${name}" has no session ${session}`, {
    hint: there.length > 8 ? `Its newest are: ${newest}; see "sparsebak list".` : `It has: ${newest || 'none'}.`,
  });
}

/** The error if the signed catalogue lists a session that the receiver does not show. */
export function newestMissing(name: string, session: string, there: readonly string[]): SparsebakError {
  return new SparsebakError('rollback', `the newest session of ${name}, ${session}, is not in the archive`, {
    hint:
      'The backup VM lost it or withholds it. Older ones can be restored with --session: ' +
      `${newestOf(there, session)}.`,
  });
}
