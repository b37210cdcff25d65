/**
 * How a send ends, as far as dom0 records it. The receiver's commit decides which end it is; each of these is one write of
 * pairing.json, and says again what a crash kept from being said.
 */
import type { ArchiveId, PairingId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { releasedSnapshots, settledTick, type MapRef, type PairingState, type Pending } from './pairing.ts';
import type { RollingState } from './sample.ts';

/** One send of one volume. */
export interface SendRef {
  readonly volume: string;
  readonly archive: ArchiveId;
  /** The new head's. */
  readonly pairing: PairingId;
}

/** The newest head carries the send's pairing id: the map that starts there is the archive's only one. */
export async function committed(capture: Capture, send: SendRef, rolling?: RollingState): Promise<void> {
  await conclude(capture, send, (state, pending) => ({
    ...state,
    maps: state.maps.filter((map) => map.archive !== send.archive || map.pairing === send.pairing),
    pending: others(state, send).concat({ ...pending, outcome: 'committed', progress: null }),
    rolling: rolled(state, send, rolling),
  }));
}

/** The newest head is another: the map of the head that did not come to be goes. */
export async function discarded(capture: Capture, send: SendRef): Promise<void> {
  await conclude(capture, send, (state) => ({
    ...state,
    maps: state.maps.filter((map) => !isNew(map, send)),
    pending: others(state, send),
  }));
}

/**
 * Nothing different was found, so no session was made: the tock is what the base's head describes. The map that starts at
 * the tock takes the place of the one that starts at the base, under the base's pairing id.
 */
export async function unchanged(capture: Capture, send: SendRef, rolling?: RollingState): Promise<void> {
  await conclude(capture, send, (state, { base, outcome }) => {
    if (base === null || outcome === 'committed') {
      throw new SparsebakError(
        'failed',
        `${send.volume}: a send without a base, or one that was committed, changed something`,
      );
    }
    const fresh = state.maps.find((map) => isNew(map, send));
    const maps: MapRef[] =
      fresh === undefined
        ? state.maps
        : [...state.maps.filter((map) => map.archive !== send.archive), { ...fresh, pairing: base.pairing }];
    return { ...state, maps, pending: others(state, send), rolling: rolled(state, send, rolling) };
  });
}

/**
 * A chunk that no map marked was found to differ: whatever a delta before the tock left out is missing in every map. Those
 * that start there or later stay. Durable before anything else is done about it, so that no later send believes them.
 */
export async function mistrusted(capture: Capture, send: SendRef): Promise<void> {
  await conclude(capture, send, (state) => ({
    ...state,
    maps: state.maps.filter((map) => isNew(map, send)),
    // What a cut-off send sent was chosen by such a map: it is not gone on with.
    pending: state.pending.map((entry) => ({ ...entry, progress: null })),
  }));
}

/** The catalogue that lists the committed head is pinned: nothing is left to remember. */
export async function settled(capture: Capture, send: SendRef): Promise<void> {
  await conclude(capture, send, (state, { outcome }) => {
    if (outcome !== 'committed') throw new SparsebakError('failed', `${send.volume}: the send was not committed`);
    return { ...state, pending: others(state, send) };
  });
}

/** The sends of this pool's volumes to one archive whose end, or whose place in the catalogue, is not known yet. */
export function unfinished(
  { store, pool }: Capture,
  archive: ArchiveId,
): { readonly volume: string; readonly pending: Pending }[] {
  return store.list().flatMap((known) => {
    if (known.kind === 'damaged' || known.state.pool !== pool) return [];
    const { volume, pending } = known.state;
    return pending.filter((entry) => entry.archive === archive).map((entry) => ({ volume, pending: entry }));
  });
}

/** Changes the state by a send under way; durable when it returns. */
export async function conclude(
  capture: Capture,
  send: SendRef,
  change: (state: PairingState, pending: Pending) => PairingState,
): Promise<void> {
  await capture.lock.hold(async () => {
    const state = capture.store.stateOf(capture.pool, send.volume);
    const after = settledTick(change(state, pendingOf(state, send)));
    capture.store.save(after);
    await removeSnapshots(capture, releasedSnapshots(state, after));
  }, 'patient');
}

export function pendingOf(state: PairingState, { volume, archive, pairing }: SendRef): Pending {
  const pending = state.pending.find((entry) => entry.archive === archive && entry.pairing === pairing);
  if (pending !== undefined) return pending;
  throw new SparsebakError('failed', `the record of the send of ${volume} is gone from dom0's state`, {
    hint: 'The next send of the volume compares it in full.',
  });
}

function others(state: PairingState, send: SendRef): Pending[] {
  return state.pending.filter((entry) => entry.archive !== send.archive);
}

function isNew(map: MapRef, send: SendRef): boolean {
  return map.archive === send.archive && map.pairing === send.pairing;
}

function rolled(state: PairingState, send: SendRef, rolling: RollingState | undefined): PairingState['rolling'] {
  return rolling === undefined ? state.rolling : { ...state.rolling, [send.archive]: rolling };
}
