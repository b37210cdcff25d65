/** The receiver's listing of an archive, unproven. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { MAX_LISTED_SESSIONS } from '../../shared/wire/limits.ts';
import { MAX_VOLUMES } from '../content/catalogue.ts';
import type { ReceiverClient } from '../link/client.ts';

/** Volumes in one listing: those of a full catalogue, and as many that are not in it. */
const LISTED_VOLUMES = 2 * MAX_VOLUMES;
export const MAX_SESSIONS = MAX_LISTED_SESSIONS;

export interface StoredSession {
  readonly session: SessionName;
  readonly storedBytes: number;
  readonly files: number;
  /** Protects it from being pruned. */
  readonly protected: boolean;
}

/** Sessions that a listing names beyond those that can exist. */
export interface Surplus {
  readonly count: number;
  readonly oldest: SessionName;
}

/** By volume, oldest session first. */
export class Listing extends Map<VolumeId, readonly StoredSession[]> {
  /** Sessions left out of the listing, because a volume has more of them than the archive ever had. */
  readonly surplus = new Map<VolumeId, Surplus>();
  /** Volumes that the receiver cannot list, with its reasons. */
  readonly lost = new Map<string, string>();

  names(volume: VolumeId): SessionName[] {
    return (this.get(volume) ?? []).map(({ session }) => session);
  }
}

/**
 * The receiver's listing; only well-formed names, nothing proven yet.
 * @param most sessions that a volume can have; if there are more, the newest are kept
 * @throws `protocol` for a listing out of order, or longer than any archive's
 */
export async function listVolumes(client: ReceiverClient, most = Infinity): Promise<Listing> {
  const listing = new Listing();
  for (const [volume, sessions] of await allListed(client, listing.lost)) {
    const surplus = Math.max(0, sessions.length - most);
    const [oldest] = sessions;
    if (surplus > 0 && oldest !== undefined) listing.surplus.set(volume, { count: surplus, oldest: oldest.session });
    listing.set(volume, sessions.slice(surplus));
  }
  return listing;
}

async function allListed(client: ReceiverClient, lost: Map<string, string>): Promise<Map<VolumeId, StoredSession[]>> {
  const volumes = new Map<VolumeId, StoredSession[]>();
  let count = 0;
  await client.request({ t: 'get-volumes' }, (item) => {
    if (item.t === 'lost') lost.set(item.name, escapeText(item.message, 300));
    if (lost.size > LISTED_VOLUMES) throw new SparsebakError('protocol', 'the receiver lists lost volumes endlessly');
    if (item.t !== 'volume') return;
    const sessions = volumes.get(item.volume) ?? [];
    // Each item must add something, so that the limits end an endless listing.
    if (item.sessions.length === 0)
      throw new SparsebakError('protocol', 'the receiver lists a volume without sessions');
    for (const each of item.sessions) {
      const { session } = each;
      const last = sessions.at(-1);
      if (last !== undefined && last.session >= session) {
        throw new SparsebakError('protocol', `the receiver lists the sessions of a volume out of order`);
      }
      sessions.push(each);
    }
    volumes.set(item.volume, sessions);
    count += item.sessions.length;
    if (volumes.size > LISTED_VOLUMES || count > MAX_SESSIONS) {
      throw new SparsebakError(
        'protocol',
        `the receiver lists more than ${LISTED_VOLUMES} volumes or ${MAX_SESSIONS} sessions`,
      );
    }
  });
  return volumes;
}
