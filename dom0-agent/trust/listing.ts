/** The receiver's listing of an archive: what it says it holds. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_LISTED_SESSIONS } from '../../shared/wire/limits.ts';
import { MAX_VOLUMES } from '../content/catalogue.ts';
import type { ReceiverClient } from '../link/client.ts';

/** Volumes in one listing: those of a full catalogue, and as many that it does not know. */
const LISTED_VOLUMES = 2 * MAX_VOLUMES;
export const MAX_SESSIONS = MAX_LISTED_SESSIONS;

export interface StoredSession {
  readonly session: SessionName;
  readonly storedBytes: number;
  readonly files: number;
  /** The bit that keeps it from being pruned. */
  readonly protected: boolean;
}

/**
 * What the receiver says it holds; only names of the right form, nothing proven yet. Oldest first.
 * @throws `protocol` for a listing out of order, or longer than any archive's
 */
export async function listVolumes(client: ReceiverClient): Promise<Map<VolumeId, StoredSession[]>> {
  const volumes = new Map<VolumeId, StoredSession[]>();
  let count = 0;
  await client.request({ t: 'get-volumes' }, (item) => {
    if (item.t !== 'volume') return;
    const sessions = volumes.get(item.volume) ?? [];
    // Each item adds something, so that the caps end a listing that would not end.
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
