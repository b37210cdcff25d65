/**
 * Compares each volume in the archive with the catalogue, and gets the base of the next send. A volume whose newest
 * session is damaged, missing or not the expected one is not sent, and does not stop other volumes.
 */
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { newestFault } from '../proven-archive/find-session.ts';
import { newestHead } from '../proven-archive/newest-head.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import { ROLLBACK_HINT } from '../proven-archive/pin-errors.ts';
import type { Listing, ProvenSession } from '../proven-archive/proven-reader.ts';
import { isVolumeError } from '../proven-archive/volume-error.ts';

export interface Base {
  /** The volume's newest session; undefined if it has none. */
  readonly session: ProvenSession | undefined;
  /** It is not the session that the catalogue lists, and the user accepts that: no delta map is relative to it. */
  readonly rolledBack: boolean;
}

/** The base of a volume's next send, or why it has none. */
export type Standing =
  | { readonly kind: 'proven'; readonly entry: CatalogueVolume; readonly base: Base }
  | { readonly kind: 'unproven'; readonly entry: CatalogueVolume; readonly error: SparsebakError };

/** @throws any error that ends the connection */
export async function standingOf(archive: OpenArchive, entry: CatalogueVolume, stored: Listing): Promise<Standing> {
  try {
    return { kind: 'proven', entry, base: await provenBase(archive, entry, stored) };
  } catch (error) {
    if (!isVolumeError(error, archive.client)) throw error;
    return { kind: 'unproven', entry, error };
  }
}

/**
 * The newest session of a volume, proven to be the one that the catalogue lists.
 * @throws `rollback` if the archive shows another newest session (older, newer or none) and the user does not accept it
 */
async function provenBase(archive: OpenArchive, entry: CatalogueVolume, stored: Listing): Promise<Base> {
  const newest = stored.get(entry.id)?.at(-1)?.session;
  if (stored.lost.has(entry.id)) throw newestFault(entry, stored) ?? otherNewest(entry, newest);
  if (newest !== (entry.session ?? undefined)) {
    if (!archive.acceptRollback) throw otherNewest(entry, newest);
    if (newest === undefined) return { session: undefined, rolledBack: true };
    const { id, name } = entry;
    return { session: await newestHead(archive, { id, name, session: newest, head: null }), rolledBack: true };
  }
  return { session: await newestHead(archive, entry), rolledBack: false };
}

function otherNewest(entry: CatalogueVolume, newest: string | undefined): SparsebakError {
  return new SparsebakError(
    'rollback',
    'the newest session of ' +
      `${entry.name} in the archive is ${newest ?? 'none'}, but it must be ${entry.session ?? 'none'}`,
    { hint: ROLLBACK_HINT },
  );
}
