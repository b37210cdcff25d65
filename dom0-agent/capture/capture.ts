/** What every step of capture works with, for one pool. */
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import type { SnapshotRef, Source } from '../source/source.ts';
import type { StateLock } from './state-lock.ts';
import type { PairingStore } from './pairing-store.ts';

export interface Capture {
  readonly source: Source;
  /** Its name in the configuration. */
  readonly pool: string;
  readonly store: PairingStore;
  readonly lock: StateLock;
  /** Something went wrong that costs only space, until the next run puts it right. */
  readonly warn: (error: SparsebakError) => void;
}

/**
 * Removes snapshots that no state names any more. Never before the state that no longer names them is durable.
 * One that stays is a leftover: `reap` removes it.
 */
export async function removeSnapshots(capture: Capture, snapshots: readonly SnapshotRef[]): Promise<void> {
  if (snapshots.length === 0) return;
  try {
    await capture.source.remove(snapshots);
  } catch (error) {
    capture.warn(asSparsebakError(error, 'source', 'snapshots that are no longer needed could not be removed'));
  }
}
