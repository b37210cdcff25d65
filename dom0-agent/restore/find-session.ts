/** From the names that a user gives to a proven session. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { isSessionName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';

/** Volumes that the catalogue lists, by name; all without names. @throws `not-found` for a name that it does not list */
export function listedVolumes({ pinned }: OpenArchive, names: readonly string[]): CatalogueVolume[] {
  const active = pinned.catalogue.volumes.filter((volume) => volume.state === 'active');
  if (names.length === 0) return active.sort((a, b) => (a.name < b.name ? -1 : 1));
  return names.map((name) => {
    const found = active.find((volume) => volume.name === name);
    if (found !== undefined) return found;
    throw new SparsebakError('not-found', `the archive has no volume "${name}"`, { hint: 'See "sparsebak list".' });
  });
}

/** Names of all sessions of a volume, oldest first, as the receiver lists them. */
export async function sessionNames({ reader }: OpenArchive, volume: VolumeId): Promise<SessionName[]> {
  return ((await reader.volumes()).get(volume) ?? []).map(({ session }) => session);
}

/**
 * One session of a volume, the newest unless it is named.
 * @throws `not-found` for a session that is not there, `rollback` where the newest is not the catalogue's
 */
export async function findSession(
  archive: OpenArchive,
  volume: CatalogueVolume,
  session: string | undefined,
): Promise<ProvenSession> {
  const names = await sessionNames(archive, volume.id);
  const wanted = session ?? volume.session;
  if (wanted === null) {
    throw new SparsebakError('not-found', `volume "${volume.name}" has no session`, { hint: 'See "sparsebak list".' });
  }
  if (!isSessionName(wanted)) {
    throw new SparsebakError('usage', `"${wanted}" is not the name of a session`, {
      hint: 'Sessions are named like S_20261123-020000; see "sparsebak list".',
    });
  }
  if (!names.includes(wanted)) {
    if (session === undefined) {
      throw newestMissing(volume.name, wanted, names);
    }
    throw new SparsebakError('not-found', `volume "${volume.name}" has no session ${wanted}`, {
      hint: `It has: ${names.join(', ') || 'none'}.`,
    });
  }
  return archive.reader.head(volume.id, wanted, wanted === volume.session ? (volume.head ?? undefined) : undefined);
}

/** The signed catalogue lists a session that the receiver does not show. */
export function newestMissing(name: string, session: string, there: readonly string[]): SparsebakError {
  const older = there.slice(-8).join(', ') || 'none';
  return new SparsebakError('rollback', `the newest session of ${name}, ${session}, is not in the archive`, {
    hint: `The backup VM lost it or withholds it. Older ones can be restored with --session: ${older}.`,
  });
}
