/** Monitor: records what changed in each volume since the previous snapshot, and sends nothing. */
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import type { Delta, Outcome, SnapshotRef } from '../source/source.ts';
import { advance, deltasSince, inOrderOf, withoutSnapshot, type DroppedMap, type Step } from './advance-maps.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { overlapped } from './run-overlapped.ts';
import type { Loaded } from './pairing-store.ts';
import { releasedSnapshots, type MapRef, type PairingState } from './pairing.ts';

export type MonitorOutcome =
  | {
      readonly kind: 'monitored';
      readonly volume: string;
      /** Since the previous snapshot. */
      readonly changedBytes: number;
      /** `changedChunks`: marked since each map's session. */
      readonly maps: readonly MapRef[];
      /** Damaged maps: the next send to that archive compares in full. */
      readonly dropped: readonly DroppedMap[];
    }
  /** There is no send since which changes could be recorded. No snapshot was made. */
  | { readonly kind: 'unpaired'; readonly volume: string }
  | { readonly kind: 'missing'; readonly volume: string; readonly error: SparsebakError }
  | { readonly kind: 'failed'; readonly volume: string; readonly error: SparsebakError }
  /** The changes are unknown: the next send compares in full. */
  | { readonly kind: 'reset'; readonly volume: string; readonly reason: string };

/** @param volumes names as the source lists them */
export async function monitor(capture: Capture, volumes: readonly string[]): Promise<MonitorOutcome[]> {
  return await capture.lock.hold(async () => {
    const outcomes: MonitorOutcome[] = [];
    const paired: PairingState[] = [];
    for (const volume of volumes) {
      const looked = look(capture, volume);
      if ('kind' in looked) outcomes.push(looked);
      else paired.push(looked);
    }
    if (paired.length === 0) return outcomes;
    const snapshots = await capture.source.snapshot(paired.map((state) => state.volume));
    const steps: Step[] = [];
    for (const state of paired) {
      const snapshot = snapshots.get(state.volume);
      if (snapshot?.ok === true) steps.push({ state, newer: snapshot.value });
      else outcomes.push(withoutSnapshot(state.volume, snapshot?.error));
    }
    const unneeded: SnapshotRef[] = [];
    await overlapped(deltasSince(capture, steps), async ({ step, delta }) => {
      outcomes.push(await follow(capture, step, delta, unneeded));
    });
    await removeSnapshots(capture, unneeded);
    return inOrderOf(volumes, outcomes);
  });
}

/** The state to continue from, or the outcome if there is none. */
function look({ store, pool }: Capture, volume: string): PairingState | MonitorOutcome {
  let loaded: Loaded;
  try {
    loaded = store.load(pool, volume);
  } catch (error) {
    return { kind: 'failed', volume, error: asSparsebakError(error) };
  }
  if (loaded.kind === 'damaged') return { kind: 'reset', volume, reason: loaded.reason };
  if (loaded.kind === 'none' || loaded.state.maps.length === 0) return { kind: 'unpaired', volume };
  return loaded.state;
}

async function follow(
  capture: Capture,
  { state, newer }: Step,
  delta: Outcome<Delta>,
  unneeded: SnapshotRef[],
): Promise<MonitorOutcome> {
  const { volume } = state;
  let unnamed = true;
  try {
    if (!delta.ok) throw delta.error;
    const moved = await advance(capture, state, newer, delta.value);
    const next = { ...moved.state, missingSince: null };
    // From here on the new state may be durable even if saving it fails, so then neither snapshot may be removed.
    unnamed = false;
    await capture.store.save(next);
    unneeded.push(...releasedSnapshots(state, next));
    if (next.tick === null) unneeded.push(newer);
    if (next.maps.length === 0) return { kind: 'reset', volume, reason: reasonOf(moved.dropped) };
    return { kind: 'monitored', volume, changedBytes: moved.changedBytes, maps: next.maps, dropped: moved.dropped };
  } catch (error) {
    if (unnamed) unneeded.push(newer);
    return { kind: 'failed', volume, error: asSparsebakError(error, 'source', volume) };
  }
}

function reasonOf(dropped: readonly DroppedMap[]): string {
  return [...new Set(dropped.map(({ reason }) => reason))].join('; ');
}
