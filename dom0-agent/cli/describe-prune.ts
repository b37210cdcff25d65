/** What was pruned, or would be, for people. */
import { calendar } from '../../shared/archive/calendar.ts';
import { removableUnasked } from '../../shared/archive/retention.ts';
import { escapeText } from '../../shared/text.ts';
import type { PruneReport } from '../maintain/prune.ts';
import { formatBytes } from './output.ts';

export function describePrune({ dryRun, volumes, freedBytes }: PruneReport): string {
  const sessions = volumes.flatMap((volume) => volume.sessions);
  const going = sessions.filter(({ reasons, pruned }) => (dryRun ? reasons.length === 0 : pruned)).length;
  const refused = volumes.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error.message}`]));
  if (!dryRun) {
    return [`${going} of ${sessions.length} sessions pruned, ${formatBytes(freedBytes)} freed.`, ...refused].join('\n');
  }
  return [
    `${going} of ${sessions.length} sessions would go, ${formatBytes(freedBytes)} would become free:`,
    ...calendar(volumes.map((volume) => volume.sessions)).map((day) => `  ${day}`),
    '  + stays, - goes, ± differs by volume',
    ...volumes.flatMap(removesMost),
  ].join('\n');
}

/** What a policy with a slip in it would show. */
function removesMost({ name, sessions }: PruneReport['volumes'][number]): string[] {
  const going = sessions.filter(({ reasons }) => reasons.length === 0).length;
  if (going <= removableUnasked(sessions.length)) return [];
  return [`  more than half of ${escapeText(name, 4096)}: ${going} of ${sessions.length} sessions`];
}
