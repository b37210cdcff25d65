/** Carries out a prune plan, session by session. A refusal for one volume does not affect the others. */
import { bytesShort, type LowSpace } from '../../shared/archive/low-space.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { removableUnasked } from '../../shared/archive/retention.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore } from '../store/store.ts';
import { goingOf, removesMost, tooMany, type VolumePlan } from './policy-plan.ts';

export interface Pruned {
  readonly volume: VolumeId;
  readonly session: SessionName;
  /** Bytes of removed files. */
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

/**
 * Removes all planned sessions, newest first within each volume, so that nothing is moved into a session that is
 * removed next.
 * @param mayRemoveMost whether more than half of a volume's sessions may be removed at once; otherwise such a volume is
 * not pruned
 */
export async function pruneAll(
  archive: ArchiveStore,
  plans: readonly VolumePlan[],
  mayRemoveMost: boolean,
): Promise<Outcome> {
  const refused = mayRemoveMost ? [] : plans.filter(removesMost);
  const going = plans
    .filter((plan) => !refused.includes(plan))
    .flatMap((plan) =>
      goingOf(plan)
        .reverse()
        .map((session) => ({ volume: plan.volume, session })),
    );
  const { pruned, refusals } = await prune(archive, going, () => true);
  return { pruned, refusals: new Map([...refusals, ...refused.map((plan) => [plan.volume, tooMany(plan)] as const)]) };
}

/**
 * Removes the oldest sessions of all volumes first, until the disk no longer runs low.
 * @param mayRemoveMost whether more than half of a volume's sessions may be removed at once; otherwise only the oldest
 * half
 */
export async function pruneWhileLow(
  archive: ArchiveStore,
  plans: readonly VolumePlan[],
  low: LowSpace,
  mayRemoveMost: boolean,
): Promise<Outcome> {
  const going = plans.flatMap((plan) => goingOf(plan).map((session) => ({ volume: plan.volume, session })));
  going.sort((a, b) => (a.session === b.session ? 0 : a.session < b.session ? -1 : 1));
  const atFirst = bytesShort(archive.space(), low);
  // Some file systems report freed space late.
  return await prune(
    archive,
    going,
    (freed) => Math.min(atFirst - freed, bytesShort(archive.space(), low)) > 0,
    mayRemoveMost ? undefined : plans,
  );
}

/**
 * @param more whether to continue, given the bytes freed so far
 * @param halved plans of which no more than half may be carried out
 */
async function prune(
  archive: ArchiveStore,
  going: readonly Going[],
  more: (freed: number) => boolean,
  halved: readonly VolumePlan[] = [],
): Promise<Outcome> {
  const pruned: Pruned[] = [];
  const refusals = new Map<VolumeId, Refusal>();
  const half = new Map(halved.map((plan) => [plan.volume, { plan, left: removableUnasked(plan.verdicts.length) }]));
  let freed = 0;
  for (const { volume, session } of going) {
    if (!more(freed)) break;
    if (refusals.has(volume)) continue;
    const limit = half.get(volume);
    if (limit !== undefined && limit.left-- === 0) {
      refusals.set(volume, tooMany(limit.plan));
      continue;
    }
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
