/** Plans which sessions of an archive a policy removes, by their commit times, order and protection. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { removableUnasked, retain, type RetentionPolicy, type Verdict } from '../../shared/archive/retention.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore, OnLost } from '../store/store.ts';

export interface VolumePlan {
  readonly volume: VolumeId;
  /** Only in a plain archive. */
  readonly name: string | undefined;
  /** Oldest first. */
  readonly verdicts: readonly Verdict[];
}

/** @param onLost called for a volume that cannot be listed and so is not in the plan. Without it that is an error */
export function planPrune(archive: ArchiveStore, policy: RetentionPolicy, onLost?: OnLost<VolumeId>): VolumePlan[] {
  const volumes = [...archive.volumes(onLost)];
  const verdicts = retain(
    new Map(
      volumes.map(({ volume, sessions }) => [volume, sessions.map((each) => ({ ...each, time: each.committed }))]),
    ),
    policy,
    archive.rules.minKeep,
  );
  return volumes.map(({ volume, name }) => ({ volume, name, verdicts: verdicts.get(volume) ?? [] }));
}

/** Oldest first. */
export function goingOf({ verdicts }: VolumePlan): SessionName[] {
  return verdicts.filter(({ reasons }) => reasons.length === 0).map(({ session }) => session);
}

/** Whether the policy would remove more of a volume at once than is allowed without confirmation. */
export function removesMost(plan: VolumePlan): boolean {
  return goingOf(plan).length > removableUnasked(plan.verdicts.length);
}

/** Why a volume is not pruned without that confirmation. */
export function tooMany(plan: VolumePlan): Refusal {
  const counts = `${goingOf(plan).length} of its ${plan.verdicts.length} sessions`;
  return new Refusal(
    'refused',
    `${plan.name ?? plan.volume}: the policy would remove ${counts} at once, more than half`,
    {
      hint: 'Check "sparsebak-receiver prune --dry-run", then give --yes.',
    },
  );
}
