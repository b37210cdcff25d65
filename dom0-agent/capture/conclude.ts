/**
 * Records in dom0 how a send ended. The receiver's commit decides that; each of these functions is one write of
 * pairing.json, and can be repeated after a crash.
 */
import type { ArchiveId, PairingId } from '../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { SnapshotRef } from '../source/source.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { overlapped } from './run-overlapped.ts';
import { releasedSnapshots, settledTick, type MapRef, type PairingState, type Pending } from './pairing.ts';
import type { RollingState } from './sample.ts';

/** One send of one volume. */
export interface SendRef {
  readonly volume: string;
  readonly archive: ArchiveId;
  /** The new head's. */
  readonly pairing: PairingId;
}

/** How a send ended: see `committed` and `unchanged`. */
export interface Ending {
  readonly kind: 'committed' | 'unchanged';
  readonly send: SendRef;
  readonly rolling: RollingState | undefined;
}

/** Records the endings of many sends in one step. @returns the errors of those that could not be recorded, by volume */
export async function ended(capture: Capture, endings: readonly Ending[]): Promise<Map<string, SparsebakError>> {
  return await concludeAll(
    capture,
    endings.map(({ kind, send, rolling }) => ({
      send,
      change: kind === 'committed' ? asCommitted(send, rolling) : asUnchanged(send, rolling),
    })),
  );
}

/** The newest head carries the send's pairing id: the map that starts there is the archive's only one. */
export async function committed(capture: Capture, send: SendRef, rolling?: RollingState): Promise<void> {
  await conclude(capture, send, asCommitted(send, rolling));
}

function asCommitted(send: SendRef, rolling: RollingState | undefined): Change {
  return (state, pending) => ({
    ...state,
    maps: state.maps.filter((map) => map.archive !== send.archive || map.pairing === send.pairing),
    pending: others(state, send).concat({ ...pending, outcome: 'committed', progress: null }),
    rolling: rolled(state, send, rolling),
  });
}

/** The newest head is another: removes the map of the head that was never committed. */
export async function discarded(capture: Capture, send: SendRef): Promise<void> {
  await conclude(capture, send, (state) => ({
    ...state,
    maps: state.maps.filter((map) => !isNew(map, send)),
    pending: others(state, send),
  }));
}

/**
 * No difference was found, so no session was made: the tock is equal to what the base's head describes. The map that
 * starts at the tock replaces the one that starts at the base, under the base's pairing id.
 */
export async function unchanged(capture: Capture, send: SendRef, rolling?: RollingState): Promise<void> {
  await conclude(capture, send, asUnchanged(send, rolling));
}

function asUnchanged(send: SendRef, rolling: RollingState | undefined): Change {
  return (state, { base, outcome }) => {
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
  };
}

/**
 * A chunk that no map marks was found to differ: changes that a delta before the tock left out are missing in every
 * map, so all are dropped but those that start at the tock or later. Durable before anything else is done, so that no
 * later send uses them.
 */
export async function mistrusted(capture: Capture, send: SendRef): Promise<void> {
  await conclude(capture, send, (state) => ({
    ...state,
    maps: state.maps.filter((map) => isNew(map, send)),
    // Interrupted sends chose by such a map what to send: they are not resumed.
    pending: state.pending.map((entry) => ({ ...entry, progress: null })),
  }));
}

/** The catalogue that lists the committed heads is pinned: removes the records of these sends. */
export async function settled(capture: Capture, sends: readonly SendRef[]): Promise<void> {
  const failures = await concludeAll(
    capture,
    sends.map((send) => ({ send, change: asSettled(send) })),
  );
  for (const error of failures.values()) throw error;
}

function asSettled(send: SendRef): Change {
  return (state, { outcome }) => {
    if (outcome !== 'committed') throw new SparsebakError('failed', `${send.volume}: the send was not committed`);
    return { ...state, pending: others(state, send) };
  };
}

/** The sends of this pool's volumes to one archive whose outcome is unknown, or that are not in the catalogue yet. */
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

type Change = (state: PairingState, pending: Pending) => PairingState | Promise<PairingState>;

/** Changes the state of a pending send; durable when it returns. */
export async function conclude(capture: Capture, send: SendRef, change: Change): Promise<void> {
  for (const error of (await concludeAll(capture, [{ send, change }])).values()) throw error;
}

/** The same for many volumes, each at most once; each may fail separately. */
async function concludeAll(
  capture: Capture,
  conclusions: readonly { readonly send: SendRef; readonly change: Change }[],
): Promise<Map<string, SparsebakError>> {
  const failures = new Map<string, SparsebakError>();
  if (conclusions.length === 0) return failures;
  await capture.lock.hold(async () => {
    const released: SnapshotRef[] = [];
    await overlapped(conclusions, async ({ send, change }) => {
      try {
        const state = capture.store.stateOf(capture.pool, send.volume);
        const after = settledTick(await change(state, pendingOf(state, send)));
        await capture.store.save(after);
        released.push(...releasedSnapshots(state, after));
      } catch (error) {
        failures.set(send.volume, asSparsebakError(error, 'io', send.volume));
      }
    });
    await removeSnapshots(capture, released);
  }, 'patient');
  return failures;
}

export function pendingOf(state: PairingState, { volume, archive, pairing }: SendRef): Pending {
  const pending = state.pending.find((entry) => entry.archive === archive && entry.pairing === pairing);
  if (pending !== undefined) return pending;
  throw new SparsebakError('failed', `the record of the send of ${volume} is missing in dom0's state`, {
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
