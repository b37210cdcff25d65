/**
 * A plan carried out, session by session. What one volume refuses does not keep the others from theirs.
 */
import { bytesShort, type LowSpace } from '../../shared/archive/low-space.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore } from '../store/store.ts';
import { goingOf, type VolumePlan } from './plan.ts';

export interface Pruned {
  readonly volume: VolumeId;
  readonly session: SessionName;
  /** Of stored files that are gone. */
  readonly bytes: number;
}

export interface Outcome {
  readonly pruned: readonly Pruned[];
  readonly refusals: ReadonlyMap<VolumeId, Refusal>;
}

interface Going {
  readonly volume: VolumeId;
  readonly session: SessionName;
}

/** All that goes, of each volume the newest first: so nothing is moved into a session that goes, too. */
export async function pruneAll(archive: ArchiveStore, plans: readonly VolumePlan[]): Promise<Outcome> {
  const going = plans.flatMap((plan) =>
    goingOf(plan)
      .reverse()
      .map((session) => ({ volume: plan.volume, session })),
  );
  return await prune(archive, going, () => true);
}

/** The oldest of all volumes first, and no more than it takes until the disk does not run low any more. */
export async function pruneWhileLow(
  archive: ArchiveStore,
  plans: readonly VolumePlan[],
  low: LowSpace,
): Promise<Outcome> {
  const going = plans.flatMap((plan) => goingOf(plan).map((session) => ({ volume: plan.volume, session })));
  going.sort((a, b) => (a.session === b.session ? 0 : a.session < b.session ? -1 : 1));
  const atFirst = bytesShort(archive.space(), low);
  // Some file systems take their time to count what became free.
  return await prune(archive, going, (freed) => Math.min(atFirst - freed, bytesShort(archive.space(), low)) > 0);
}

/** `more`: whether to go on, the bytes that became free so far being so many. */
async function prune(
  archive: ArchiveStore,
  going: readonly Going[],
  more: (freed: number) => boolean,
): Promise<Outcome> {
  const pruned: Pruned[] = [];
  const refusals = new Map<VolumeId, Refusal>();
  let freed = 0;
  for (const { volume, session } of going) {
    if (!more(freed)) break;
    if (refusals.has(volume)) continue;
    try {
      const bytes = await archive.prune(volume, session);
      if (bytes === undefined) continue;
      freed += bytes;
      pruned.push({ volume, session, bytes });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.set(volume, error);
    }
  }
  return { pruned, refusals };
}
