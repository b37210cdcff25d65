/**
 * When the sessions of an archive were made, by their proven heads. Names only give the order: after a send with a
 * clock in the future, all later names are in that future. Heads that were proven once are taken from dom0's records.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { KnownHeads } from '../proven-archive/known-heads.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { StoredSession } from '../proven-archive/proven-reader.ts';

/** Sessions that one `get-heads` may name. */
const HEADS_AT_ONCE = 1024;

/** Milliseconds since 1970, by volume and session. */
export type SessionTimes = ReadonlyMap<VolumeId, ReadonlyMap<SessionName, number>>;

/**
 * A session whose head is missing or not authentic has no time here.
 * @param fetches whether to ask the receiver for heads that this computer has not proven yet
 */
export async function sessionTimes(
  { state, reader }: OpenArchive,
  stored: ReadonlyMap<VolumeId, readonly StoredSession[]>,
  fetches: boolean,
): Promise<SessionTimes> {
  const known = new KnownHeads(state);
  const times = new Map<VolumeId, Map<SessionName, number>>();
  for (const [volume, sessions] of stored) {
    const unknown: SessionName[] = [];
    const own = new Map<SessionName, number>();
    for (const { session } of sessions) {
      const head = known.get(volume, session);
      if (head === undefined) unknown.push(session);
      else own.set(session, head.time);
    }
    times.set(volume, own);
    for (let from = 0; fetches && from < unknown.length; from += HEADS_AT_ONCE) {
      const some = unknown.slice(from, from + HEADS_AT_ONCE);
      for (const { head } of await reader.headsThere(volume, some, undefined, () => undefined)) {
        known.add(head);
        own.set(head.session, head.time);
      }
    }
  }
  if (fetches) known.save();
  return times;
}
