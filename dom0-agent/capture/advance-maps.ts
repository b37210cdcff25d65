/**
 * The step that monitor and send share: a newer snapshot becomes the previous snapshot (the tick), and the changes
 * since the old one are added to every map.
 */
import type { ArchiveId, PairingId } from '../../shared/archive/names.ts';
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import type { Delta, Outcome, SnapshotPair, SnapshotRef, Source } from '../source/source.ts';
import type { Capture } from './capture.ts';
import { settledTick, type MapRef, type PairingState } from './pairing.ts';

export interface DroppedMap {
  readonly archive: ArchiveId;
  readonly pairing: PairingId;
  readonly reason: string;
}

export interface Advance {
  /** Its maps are durable, and no saved state names them yet. */
  readonly state: PairingState;
  /** Bytes that the source reports as changed. */
  readonly changedBytes: number;
  readonly dropped: readonly DroppedMap[];
}

/** A newer snapshot of a volume, and the state to continue from. */
export interface Step {
  readonly state: PairingState;
  readonly newer: SnapshotRef;
}

/** The result of a step; a failure concerns that step only. */
export interface Told<S extends Step> {
  readonly step: S;
  readonly delta: Outcome<Delta>;
}

/**
 * The changes between each tick and its newer snapshot. The tick must exist and be the recorded one, not another of the
 * same name. Read it to the end or leave it by `return`: a source that compares all pairs together has to clean up
 * afterwards.
 */
export async function* deltasSince<S extends Step>(
  { source }: Capture,
  steps: readonly S[],
): AsyncGenerator<Told<S>, void, undefined> {
  for (const step of steps.filter(({ state }) => state.tick === null)) {
    yield { step, delta: { ok: true, value: { kind: 'ranges', ranges: [], bytes: 0 } } };
  }
  const waiting = steps.flatMap((step) => {
    const { tick: older } = step.state;
    return older === null ? [] : [{ step, older, newer: step.newer }];
  });
  try {
    for await (const delta of deltasOf(source, waiting)) {
      const next = waiting.shift();
      if (next !== undefined) yield { step: next.step, delta };
    }
  } catch (error) {
    for (const { step } of waiting) yield { step, delta: { ok: false, error: asSparsebakError(error, 'source') } };
  }
}

async function* deltasOf(source: Source, pairs: readonly SnapshotPair[]): AsyncGenerator<Outcome<Delta>> {
  if (!source.frozen) {
    const reason = 'this kind of pool cannot tell what changed';
    for (const _ of pairs) yield { ok: true, value: { kind: 'unknown', reason } };
  } else if (source.deltas !== undefined) {
    const asked = [...pairs];
    let next = 0;
    for await (const value of source.deltas(asked)) {
      const pair = asked[next++];
      if (value !== undefined) yield { ok: true, value };
      else if (pair !== undefined) yield await deltaOf(source, pair);
    }
  } else {
    for (const pair of [...pairs]) yield await deltaOf(source, pair);
  }
}

async function deltaOf(source: Source, { older, newer }: SnapshotPair): Promise<Outcome<Delta>> {
  try {
    if (await source.exists(older)) return { ok: true, value: await source.delta(older, newer) };
    return { ok: true, value: { kind: 'unknown', reason: 'the older snapshot is gone or was replaced' } };
  } catch (error) {
    return { ok: false, error: asSparsebakError(error, 'source') };
  }
}

/** Without a delta no map can be carried over to the newer snapshot: all are dropped. */
export async function advance(
  { store }: Capture,
  state: PairingState,
  newer: SnapshotRef,
  delta: Delta,
): Promise<Advance> {
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
      dropped.push({ archive, pairing, reason: `a delta map is damaged: ${stored.reason}` });
      continue;
    }
    const map = stored.value;
    map.noteSize(newer.size);
    for (const range of delta.ranges) map.mark(range);
    maps.push(await store.writeMap(state, { archive, pairing }, map));
  }
  return { state: settledTick({ ...state, maps, tick: newer }), changedBytes: delta.bytes, dropped };
}

/** The error for a volume that could not be snapshotted. */
export function withoutSnapshot(volume: string, cause: SparsebakError | undefined) {
  const error = cause ?? asSparsebakError(new Error(`the source made no snapshot of ${volume}`), 'source');
  return { kind: error.code === 'not-found' ? ('missing' as const) : ('failed' as const), volume, error };
}

/** The outcomes in the order of the requested volumes. */
export function inOrderOf<T extends { readonly volume: string }>(
  volumes: readonly string[],
  outcomes: readonly T[],
): T[] {
  const byVolume = new Map(outcomes.map((outcome) => [outcome.volume, outcome]));
  return [...new Set(volumes)].flatMap((volume) => byVolume.get(volume) ?? []);
}
