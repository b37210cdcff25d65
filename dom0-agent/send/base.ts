/**
 * What the archive holds of each volume against what the catalogue says it must: the base of the next send.
 */
import type { VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import type { ProvenSession, StoredSession } from '../trust/proven-reader.ts';

/**
 * The newest session of a volume, proven to be the one that the catalogue lists; undefined for one without sessions.
 * @throws `rollback` where the archive shows another newest session: older, newer or none
 */
export async function provenNewest(
  archive: OpenArchive,
  entry: CatalogueVolume,
  stored: ReadonlyMap<VolumeId, readonly StoredSession[]>,
): Promise<ProvenSession | undefined> {
  const newest = stored.get(entry.id)?.at(-1)?.session;
  if (archive.rolledBack) return newest === undefined ? undefined : (await archive.reader.heads(entry.id, [newest]))[0];
  if (entry.session === null || entry.head === null) {
    if (newest === undefined) return undefined;
    throw otherNewest(entry, newest);
  }
  if (newest !== entry.session) throw otherNewest(entry, newest);
  const [proven] = await archive.reader.heads(entry.id, [entry.session], { session: entry.session, hash: entry.head });
  return proven;
}

function otherNewest(entry: CatalogueVolume, newest: string | undefined): SparsebakError {
  return new SparsebakError(
    'rollback',
    `the newest session of ${entry.name} in the archive is ${newest ?? 'none'}, but it must be ${entry.session ?? 'none'}`,
    {
      hint: 'If you restored the backup disk from a copy, send with --accept-rollback; otherwise do not trust the backup VM until you know why.',
    },
  );
}
