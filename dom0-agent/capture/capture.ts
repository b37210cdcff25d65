/** What every step of capture needs, for one pool. */
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
  /** Called for errors that cost only space until the next run cleans up. */
  readonly warn: (error: SparsebakError) => void;
}

/**
 * Removes snapshots that no state names any more. Must be called after the state that no longer names them is durable.
 * `removeStale` later removes those that could not be removed.
 */
export async function removeSnapshots(capture: Capture, snapshots: readonly SnapshotRef[]): Promise<void> {
  if (snapshots.length === 0) return;
  try {
    await capture.source.remove(snapshots);
  } catch (error) {
    capture.warn(asSparsebakError(error, 'source', 'snapshots that are no longer needed could not be removed'));
  }
}
