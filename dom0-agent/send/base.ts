/**
 * What the archive holds of each volume against what the catalogue says it must: the base of the next send.
 */
import type { VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { newestHead } from '../trust/newest-head.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import { ROLLBACK_HINT } from '../trust/pin-faults.ts';
import type { ProvenSession, StoredSession } from '../trust/proven-reader.ts';

export interface Base {
  /** The newest session there; undefined for a volume without sessions. */
  readonly session: ProvenSession | undefined;
  /** It is not what the catalogue lists, and the user accepts that: no delta map is relative to it. */
  readonly rolledBack: boolean;
}

/**
 * The newest session of a volume, proven to be the one that the catalogue lists.
 * @throws `rollback` where the archive shows another newest session (older, newer or none) and the user does not accept it
 */
export async function provenBase(
  archive: OpenArchive,
  entry: CatalogueVolume,
  stored: ReadonlyMap<VolumeId, readonly StoredSession[]>,
): Promise<Base> {
  const newest = stored.get(entry.id)?.at(-1)?.session;
  if (newest !== (entry.session ?? undefined)) {
    if (!archive.acceptRollback) throw otherNewest(entry, newest);
    const session = newest === undefined ? undefined : await archive.reader.head(entry.id, newest);
    return { session, rolledBack: true };
  }
  return { session: await newestHead(archive, entry), rolledBack: false };
}

function otherNewest(entry: CatalogueVolume, newest: string | undefined): SparsebakError {
  return new SparsebakError(
    'rollback',
    `the newest session of ${entry.name} in the archive is ${newest ?? 'none'}, but it must be ${entry.session ?? 'none'}`,
    { hint: ROLLBACK_HINT },
  );
}
