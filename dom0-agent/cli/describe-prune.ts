/** Describes what was pruned, or would be. */
import { formatBytes } from '../../shared/terminal/sizes.ts';
import { calendar } from '../../shared/archive/calendar.ts';
import { EXIT_STATUS } from '../../shared/errors.ts';
import { removableUnasked } from '../../shared/archive/retention.ts';
import { escapeText } from '../../shared/text.ts';
import type { PruneReport } from '../maintain/prune-archive.ts';
import type { VolumeError } from './volume-errors.ts';

export function describePrune({ dryRun, volumes, freedBytes }: PruneReport): string {
  const sessions = volumes.flatMap((volume) => volume.sessions);
  const going = sessions.filter(({ reasons, pruned }) => (dryRun ? reasons.length === 0 : pruned)).length;
  if (!dryRun) return `${going} of ${sessions.length} sessions pruned, ${formatBytes(freedBytes)} freed.`;
  return [
    `${going} of ${sessions.length} sessions would be pruned, ${formatBytes(freedBytes)} would be freed:`,
    ...calendar(volumes.map((volume) => volume.sessions)).map((day) => `  ${day}`),
    '  + kept, - removed, ± differs by volume',
    ...volumes.flatMap(removesMost),
  ].join('\n');
}

/** Points out what a mistake in the policy would cause. */
function removesMost({ name, sessions }: PruneReport['volumes'][number]): string[] {
  const going = sessions.filter(({ reasons }) => reasons.length === 0).length;
  if (going <= removableUnasked(sessions.length)) return [];
  return [`  more than half of ${escapeText(name, 4096)}: ${going} of ${sessions.length} sessions`];
}

/** Why sessions of single volumes were not pruned. */
export function pruneErrors({ volumes }: PruneReport): VolumeError[] {
  return volumes.flatMap(({ name, error }) => (error === undefined ? [] : { name, error }));
}

/** A damaged volume counts above a refusal. */
export function pruneStatus({ volumes }: PruneReport): number {
  const codes = volumes.flatMap(({ error }) => error?.code ?? []);
  if (codes.length === 0) return 0;
  return codes.some((code) => code === 'integrity' || code === 'rollback')
    ? EXIT_STATUS.integrity
    : EXIT_STATUS.partial;
}
