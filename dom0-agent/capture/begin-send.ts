/**
 * A send begins like a monitor step: its current snapshot (the tock) becomes the previous snapshot (the tick). A single
 * write of pairing.json then records three things: the maps reach up to the tock, an empty map starts there under the
 * new pairing id, and a send with that id is pending with unknown outcome.
 */
import { MAX_VOLUME_SIZE } from '../../shared/archive/address.ts';
import type { ArchiveId, PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import type { Delta, Outcome, SnapshotRef } from '../source/source.ts';
import { advance, deltasSince, inOrderOf, withoutSnapshot, type DroppedMap, type Step } from './advance-maps.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { DeltaMap } from './delta-map.ts';
import { overlapped } from './run-overlapped.ts';
import { releasedSnapshots, unpaired, type Base, type PairingState, type Pending } from './pairing.ts';

export interface SendRequest {
  readonly volume: string;
  readonly archive: ArchiveId;
  readonly chunkSize: number;
  /** Pairing id of the new head: 128 random bits that no other send has. */
  readonly pairing: PairingId;
  /** The newest head, proven; null for a volume that the archive does not have. */
  readonly base: Base | null;
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly session: SessionName;
  readonly sequence: number;
}

export type SendStart =
  | {
      readonly kind: 'begun';
      readonly volume: string;
      readonly tock: SnapshotRef;
      /** What changed since the base; null: compare in full. */
      readonly map: DeltaMap | null;
      /** Why there is no map. */
      readonly reason: string | null;
    }
  | { readonly kind: 'missing'; readonly volume: string; readonly error: SparsebakError }
  | { readonly kind: 'failed'; readonly volume: string; readonly error: SparsebakError };

/** All volumes are snapshotted before the first is looked at. One volume's failure does not stop the others. */
export async function beginSend(capture: Capture, requests: readonly SendRequest[]): Promise<SendStart[]> {
  if (requests.length === 0) return [];
  if (new Set(requests.map(({ volume }) => volume)).size !== requests.length) {
    throw new SparsebakError('failed', 'one send takes a volume once');
  }
  return await capture.lock.hold(async () => {
    const snapshots = await capture.source.snapshot(requests.map(({ volume }) => volume));
    const unneeded: SnapshotRef[] = [];
    const starts: SendStart[] = [];
    const steps: SendStep[] = [];
    for (const request of requests) {
      const step = look(capture, request, snapshots.get(request.volume), unneeded);
      if ('kind' in step) starts.push(step);
      else steps.push(step);
    }
    await overlapped(deltasSince(capture, steps), async ({ step, delta }) => {
      starts.push(await start(capture, step, delta, unneeded));
    });
    await removeSnapshots(capture, unneeded);
    return inOrderOf(
      requests.map(({ volume }) => volume),
      starts,
    );
  });
}

interface SendStep extends Step {
  readonly request: SendRequest;
  /** Why the state starts over. */
  readonly lost: string | undefined;
}

/** The state to continue from, or how loading it failed. */
function look(
  { store, pool }: Capture,
  request: SendRequest,
  snapshot: Outcome<SnapshotRef> | undefined,
  unneeded: SnapshotRef[],
): SendStep | SendStart {
  const { volume } = request;
  if (snapshot?.ok !== true) return withoutSnapshot(volume, snapshot?.error);
  try {
    const loaded = store.load(pool, volume);
    const state = loaded.kind === 'paired' ? loaded.state : unpaired(pool, volume);
    refuseUnresolved(state, request);
    return { request, state, newer: snapshot.value, lost: loaded.kind === 'damaged' ? loaded.reason : undefined };
  } catch (error) {
    unneeded.push(snapshot.value);
    return { kind: 'failed', volume, error: asSparsebakError(error, 'source', volume) };
  }
}

async function start(
  capture: Capture,
  { request, state, newer: tock, lost }: SendStep,
  delta: Outcome<Delta>,
  unneeded: SnapshotRef[],
): Promise<SendStart> {
  const { volume } = request;
  let unnamed = true;
  try {
    refuseTooLarge(request, tock);
    // A send without a delta compares in full.
    const known: Delta = delta.ok ? delta.value : { kind: 'unknown', reason: delta.error.message };
    const moved = await advance(capture, state, tock, known);
    const next = await joined(capture, moved.state, request, tock);
    // From here on the new state may be durable even if saving it fails, so then neither snapshot may be removed.
    unnamed = false;
    await capture.store.save(next);
    unneeded.push(...releasedSnapshots(state, next));
    return { kind: 'begun', volume, tock, ...baseMap(capture, next, request, moved.dropped, lost) };
  } catch (error) {
    if (unnamed) unneeded.push(tock);
    return { kind: 'failed', volume, error: asSparsebakError(error, 'source', volume) };
  }
}

function refuseTooLarge({ volume }: SendRequest, { size }: SnapshotRef): void {
  if (size <= MAX_VOLUME_SIZE) return;
  throw new SparsebakError('source', `${volume} has ${size} bytes, and more than 16 TiB are not supported`);
}

function refuseUnresolved(state: PairingState, { volume, archive, pairing }: SendRequest): void {
  if (state.pending.some((entry) => entry.archive === archive)) {
    throw new SparsebakError('failed', `an earlier send of ${volume} must be resolved before the next`);
  }
  if (state.maps.some((map) => map.archive === archive && map.pairing === pairing)) {
    throw new SparsebakError('failed', `the pairing id ${pairing} was used before`);
  }
}

/** The state with the pending send, and its empty map if the source supports maps. */
async function joined(
  { source, store }: Capture,
  state: PairingState,
  request: SendRequest,
  tock: SnapshotRef,
): Promise<PairingState> {
  const { archive, pairing, chunkSize, base, volumeId, name, session, sequence } = request;
  const pending: Pending = {
    ...{ archive, pairing, tock, chunkSize, base, volumeId, name, session, sequence },
    time: tock.time,
    progress: null,
    outcome: 'unknown',
  };
  const next = { ...state, missingSince: null, pending: [...state.pending, pending] };
  if (!source.frozen) return next;
  const map = await store.writeMap(state, { archive, pairing }, DeltaMap.empty(chunkSize, tock.size));
  return { ...next, tick: tock, maps: [...state.maps, map] };
}

/** The map that is relative to the base, or why there is none. No other map may be used. */
function baseMap(
  { source, store }: Capture,
  state: PairingState,
  { archive, base, chunkSize }: SendRequest,
  dropped: readonly DroppedMap[],
  lost: string | undefined,
): { readonly map: DeltaMap | null; readonly reason: string | null } {
  const none = (reason: string) => ({ map: null, reason });
  if (base === null) return none('the volume is new in this archive');
  if (!source.frozen) return none('this kind of pool cannot tell what changed');
  if (lost !== undefined) return none(lost);
  const gone = dropped.find((map) => map.archive === archive && map.pairing === base.pairing);
  if (gone !== undefined) return none(gone.reason);
  const ref = state.maps.find((map) => map.archive === archive && map.pairing === base.pairing);
  if (ref === undefined) return none('changes since the newest session were not recorded here');
  const stored = store.readMap(state, ref);
  if (stored.kind === 'damaged') return none(`a delta map is damaged: ${stored.reason}`);
  if (stored.value.chunkSize !== chunkSize) return none('the delta map has another chunk size than the archive');
  return { map: stored.value, reason: null };
}
