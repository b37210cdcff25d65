/**
 * Gives up snapshots of sparsebak to free space in a pool that is nearly full. Each costs a full compare or a send from
 * the start, so the cheapest are removed first, and no more than needed.
 */
import type { ArchiveId } from '../../shared/archive/names.ts';
import { removeSnapshots, type Capture } from './capture.ts';
import { releasedSnapshots, settledTick, type PairingState, type Pending } from './pairing.ts';
import { withoutTock } from './remove-stale.ts';

export interface ReleaseOptions {
  /** Whether the pool has room again. */
  readonly isEnough: () => Promise<boolean>;
  /** Whether a send to the archive is running: its snapshots are being read. */
  readonly isSending: (archive: ArchiveId) => Promise<boolean>;
}

/** @returns the volumes whose next send compares in full or starts over */
export async function release(capture: Capture, options: ReleaseOptions): Promise<string[]> {
  return await capture.lock.hold(async () => {
    const idle = await idleSends(capture, options);
    const withoutResume = (state: PairingState) => ({
      ...state,
      pending: state.pending.map((entry) =>
        idle(entry) && entry.tock?.id !== state.tick?.id ? withoutTock(entry) : entry,
      ),
    });
    const withoutTick = (state: PairingState) =>
      settledTick({
        ...state,
        maps: [],
        pending: state.pending.map((entry) => (idle(entry) ? withoutTock(entry) : entry)),
      });
    const released = new Set<string>();
    for (const give of [withoutResume, withoutTick]) {
      for (const state of oldestFirst(capture)) {
        if (await options.isEnough()) return [...released];
        const next = give(state);
        const snapshots = releasedSnapshots(state, next);
        if (snapshots.length === 0) continue;
        await capture.store.save(next);
        await removeSnapshots(capture, snapshots);
        released.add(state.volume);
      }
    }
    return [...released];
  });
}

async function idleSends({ store }: Capture, { isSending }: ReleaseOptions): Promise<(pending: Pending) => boolean> {
  const archives = new Set(
    store.list().flatMap((known) => (known.kind === 'paired' ? known.state.pending.map(({ archive }) => archive) : [])),
  );
  const busy = new Set<ArchiveId>();
  for (const archive of archives) if (await isSending(archive)) busy.add(archive);
  return ({ archive }) => !busy.has(archive);
}

/** The oldest snapshots take the most space. */
function oldestFirst({ store, pool }: Capture): PairingState[] {
  return store
    .list()
    .flatMap((known) => (known.kind === 'paired' && known.state.pool === pool ? [known.state] : []))
    .sort((a, b) => (a.tick?.time ?? 0) - (b.tick?.time ?? 0));
}
