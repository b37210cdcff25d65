/** Removes the state of volumes that have been missing for long, and snapshots that a killed run left. */
import type { ArchiveId } from '../../shared/archive/names.ts';
import type { SnapshotRef } from '../source/source.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { namedSnapshots, releasedSnapshots, settledTick, type PairingState, type Pending } from './pairing.ts';

/**
 * Milliseconds of absence after which a volume counts as gone. Qubes renames a volume for a moment when its qube stops.
 */
const ABSENCE = 7 * 24 * 60 * 60 * 1000;

export interface StaleOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Missing volumes that the user declares to be permanently gone. */
  readonly isGone?: (volume: string) => boolean;
  /** Whether a send to the archive is running: its snapshots are being read. */
  readonly isSending: (archive: ArchiveId) => Promise<boolean>;
}

export interface RemovedStale {
  readonly missing: readonly { readonly volume: string; readonly since: number }[];
  /** Volumes that were missing for too long: their ticks and maps were removed. */
  readonly longMissing: readonly string[];
  /** Snapshots that no state named. */
  readonly leftovers: readonly SnapshotRef[];
}

export async function removeStale(capture: Capture, options: StaleOptions): Promise<RemovedStale> {
  return await capture.lock.hold(async () => {
    capture.store.removeStrays();
    const states = statesOf(capture);
    const present = new Set(
      states.length === 0
        ? []
        : (
            await capture.source.list(
              states.map(({ volume }) => volume),
              [],
            )
          ).volumes,
    );
    const missing: { volume: string; since: number }[] = [];
    const longMissing: string[] = [];
    const unneeded: SnapshotRef[] = [];
    for (const state of states) {
      const next = await judged(state, present.has(state.volume), options);
      if (next !== state) await capture.store.save(next);
      unneeded.push(...releasedSnapshots(state, next));
      if (next.missingSince !== null) missing.push({ volume: state.volume, since: next.missingSince });
      if (next.maps.length < state.maps.length) longMissing.push(state.volume);
    }
    // Those of all pools: two may share a folder or a thin pool, and each finds the snapshots of both there.
    const named = new Set(
      allStates(capture)
        .flatMap(namedSnapshots)
        .map(({ id }) => id),
    );
    await removeSnapshots(
      capture,
      unneeded.filter(({ id }) => !named.has(id)),
    );
    const leftovers = (await capture.source.leftovers()).filter(({ id }) => !named.has(id));
    await removeSnapshots(capture, leftovers);
    return { missing, longMissing, leftovers };
  });
}

function statesOf(capture: Capture): PairingState[] {
  return allStates(capture).filter(({ pool }) => pool === capture.pool);
}

function allStates({ store }: Capture): PairingState[] {
  return store.list().flatMap((known) => (known.kind === 'paired' ? [known.state] : []));
}

async function judged(
  state: PairingState,
  present: boolean,
  { now, isGone, isSending }: StaleOptions,
): Promise<PairingState> {
  if (present) return state.missingSince === null ? state : { ...state, missingSince: null };
  // If the clock was set back, the wait must not become endless.
  const since = Math.min(state.missingSince ?? now, now);
  const next = since === state.missingSince ? state : { ...state, missingSince: since };
  if (now - since < ABSENCE && isGone?.(state.volume) !== true) return next;
  const pending = await Promise.all(
    next.pending.map(async (entry) => ((await isSending(entry.archive)) ? entry : withoutTock(entry))),
  );
  if (state.maps.length === 0 && pending.every((entry, index) => entry === next.pending[index])) return next;
  return settledTick({ ...next, maps: [], pending });
}

/** The send can then still be settled, but not resumed. */
export function withoutTock(pending: Pending): Pending {
  return pending.tock === null ? pending : { ...pending, tock: null, progress: null };
}
