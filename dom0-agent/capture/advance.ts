/**
 * The step that monitor and send share: a newer snapshot becomes the tick, and what changed since the old one is added
 * to every map.
 */
import type { ArchiveId, PairingId } from '../../shared/archive/names.ts';
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import type { Delta, SnapshotRef } from '../source/source.ts';
import type { Capture } from './capture.ts';
import { settledTick, type MapRef, type PairingState } from './pairing.ts';

export interface DroppedMap {
  readonly archive: ArchiveId;
  readonly pairing: PairingId;
  readonly reason: string;
}

export interface Advance {
  /** Its maps are durable, nothing names them yet. */
  readonly state: PairingState;
  /** Bytes that the source holds for changed. */
  readonly changedBytes: number;
  readonly dropped: readonly DroppedMap[];
}

/** What changed between the tick and a newer snapshot. The tick must be there and be the recorded one, not one of its name. */
export async function deltaSince({ source }: Capture, state: PairingState, newer: SnapshotRef): Promise<Delta> {
  if (state.tick === null) return { kind: 'ranges', ranges: [], bytes: 0 };
  if (!source.frozen) return { kind: 'unknown', reason: 'this kind of pool cannot tell what changed' };
  if (!(await source.exists(state.tick)))
    return { kind: 'unknown', reason: 'the older snapshot is gone or was replaced' };
  return await source.delta(state.tick, newer);
}

/** Without a delta no map can follow to the newer snapshot: all are dropped. */
export function advance({ store }: Capture, state: PairingState, newer: SnapshotRef, delta: Delta): Advance {
  if (delta.kind === 'unknown') {
    const dropped = state.maps.map(({ archive, pairing }) => ({ archive, pairing, reason: delta.reason }));
    return { state: { ...state, maps: [], tick: null }, changedBytes: 0, dropped };
  }
  const maps: MapRef[] = [];
  const dropped: DroppedMap[] = [];
  for (const ref of state.maps) {
    const { archive, pairing } = ref;
    if (delta.ranges.length === 0 && state.tick?.size === newer.size) {
      maps.push(ref);
      continue;
    }
    const stored = store.readMap(state, ref);
    if (stored.kind === 'damaged') {
      dropped.push({ archive, pairing, reason: `a delta map cannot be believed: ${stored.reason}` });
      continue;
    }
    const map = stored.value;
    map.noteSize(newer.size);
    for (const range of delta.ranges) map.mark(range);
    maps.push(store.writeMap(state, { archive, pairing }, map));
  }
  return { state: settledTick({ ...state, maps, tick: newer }), changedBytes: delta.bytes, dropped };
}

/** What to say of a volume that could not be snapshotted. */
export function withoutSnapshot(volume: string, cause: SparsebakError | undefined) {
  const error = cause ?? asSparsebakError(new Error(`the source made no snapshot of ${volume}`), 'source');
  return { kind: error.code === 'not-found' ? ('missing' as const) : ('failed' as const), volume, error };
}
