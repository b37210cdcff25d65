/** How the user's commands change the state: an archive's volume is deleted, or a volume renamed. */
import { SparsebakError } from '../../shared/errors.ts';
import type { SnapshotRef } from '../source/source.ts';
import type { ArchiveId } from '../../shared/archive/names.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { releasedSnapshots, settledTick } from './pairing.ts';
import { withoutTock } from './remove-stale.ts';

/** Removes everything that is recorded for this volume and archive. */
export async function forget(capture: Capture, volume: string, archive: ArchiveId): Promise<void> {
  await capture.lock.hold(async () => {
    const state = capture.store.stateOf(capture.pool, volume);
    const after = settledTick({
      ...state,
      maps: state.maps.filter((map) => map.archive !== archive),
      pending: state.pending.filter((entry) => entry.archive !== archive),
      rolling: Object.fromEntries(Object.entries(state.rolling).filter(([id]) => id !== archive)),
    });
    await capture.store.save(after);
    await removeSnapshots(capture, releasedSnapshots(state, after));
  });
}

/** Gives up resuming interrupted sends to the archive; the receiver can still be asked how they ended. */
export async function giveUpResuming(capture: Capture, archive: ArchiveId): Promise<void> {
  await capture.lock.hold(async () => {
    for (const known of capture.store.list()) {
      if (known.kind !== 'paired' || known.state.pool !== capture.pool) continue;
      const { state } = known;
      if (!state.pending.some((entry) => entry.archive === archive && entry.tock !== null)) continue;
      const pending = state.pending.map((entry) => (entry.archive === archive ? withoutTock(entry) : entry));
      const after = settledTick({ ...state, pending });
      await capture.store.save(after);
      await removeSnapshots(capture, releasedSnapshots(state, after));
    }
  });
}

/**
 * Moves the state of a renamed volume, but only if the old name is no longer a volume and the new one has no state:
 * otherwise two volumes would share one tick, or one would lose its own.
 */
export async function renamed(capture: Capture, from: string, to: string): Promise<'moved' | 'nothing to move'> {
  const { source, store, pool, lock } = capture;
  return await lock.hold(async () => {
    const old = store.load(pool, from);
    if (old.kind !== 'paired') return 'nothing to move';
    const found = await source.list([from], []);
    if (found.volumes.includes(from) || found.leftOut.some(({ name }) => name === from)) {
      throw new SparsebakError('failed', `${from} is still a volume: its state stays with it`);
    }
    const taken = store.load(pool, to);
    // The same tick in both means that an earlier rename was interrupted.
    if (taken.kind === 'paired' && taken.state.tick?.id !== old.state.tick?.id) {
      throw new SparsebakError('failed', `${to} has a state of its own`, {
        hint: `The next send of ${to} compares in full if necessary; the state of ${from} is removed after seven days.`,
      });
    }
    await store.rename(old.state, to);
    return 'moved';
  });
}

export interface NewPlace {
  readonly capture: Capture;
  readonly volume: string;
  /** What the new pool's source adds to the binding of each snapshot. */
  readonly binding: SnapshotRef['binding'];
}

/**
 * Moves the state of a volume that another pool has from now on, in the very same place. It stays if a send of it is
 * not settled, or the new volume has a state: then the next send compares in full.
 */
export async function movedToPool(capture: Capture, from: string, to: NewPlace): Promise<'moved' | 'nothing to move'> {
  const { store, pool, lock } = capture;
  return await lock.hold(async () => {
    const old = store.load(pool, from);
    const taken = store.load(to.capture.pool, to.volume);
    if (old.kind !== 'paired' || taken.kind === 'paired' || old.state.pending.length > 0) return 'nothing to move';
    const { tick } = old.state;
    if (tick === null) return 'nothing to move';
    const bound = { ...tick, binding: { ...tick.binding, ...to.binding } };
    await store.move(old.state, { ...old.state, pool: to.capture.pool, volume: to.volume, tick: bound });
    return 'moved';
  });
}
