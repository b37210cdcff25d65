/**
 * What of an archive a policy would have go: decided from the names of its sessions and what protects them.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { retain, type RetentionPolicy, type Verdict } from '../../shared/archive/retention.ts';
import type { ArchiveStore } from '../store/store.ts';

export interface VolumePlan {
  readonly volume: VolumeId;
  /** Only in a plain archive. */
  readonly name: string | undefined;
  /** Oldest first. */
  readonly verdicts: readonly Verdict[];
}

export function planPrune(archive: ArchiveStore, policy: RetentionPolicy): VolumePlan[] {
  const volumes = [...archive.volumes()];
  const verdicts = retain(
    new Map(volumes.map(({ volume, sessions }) => [volume, sessions])),
    policy,
    archive.rules.minKeep,
  );
  return volumes.map(({ volume, name }) => ({ volume, name, verdicts: verdicts.get(volume) ?? [] }));
}

/** Oldest first. */
export function goingOf({ verdicts }: VolumePlan): SessionName[] {
  return verdicts.filter(({ reasons }) => reasons.length === 0).map(({ session }) => session);
}
