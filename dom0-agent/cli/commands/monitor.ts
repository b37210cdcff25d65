/** `monitor`: notes what changed in each volume since the last look. Sends nothing. */
import { monitor as monitorPool, type MonitorOutcome } from '../../capture/monitor.ts';
import { withRoom } from '../../capture/make-room.ts';
import { selectVolumes, type SkippedEntry } from '../../config/selection.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatTable, print, printJson } from '../output.ts';
import { isSendingTo } from '../sending.ts';
import { tidy } from '../tidy.ts';

export async function monitor(context: CommandContext, names: readonly string[]): Promise<number> {
  const pools = context.pools();
  const { volumes: selected, skipped } = await selectVolumes(pools, names);
  const outcomes: MonitorOutcome[] = [];
  const isSending = isSendingTo(context.config);
  for (const pool of pools) {
    const volumes = selected.filter((entry) => entry.pool === pool).map(({ volume }) => volume);
    if (volumes.length > 0) outcomes.push(...(await withRoom(pool, { isSending }, () => monitorPool(pool, volumes))));
    context.throwIfInterrupted();
  }
  if (names.length === 0) await tidy(context, pools);
  if (context.json) printJson({ volumes: inOrder([...outcomes.map(asJson), ...skipped.map(skippedJson)]) });
  else {
    const unfrozen = new Set(selected.filter(({ pool }) => !pool.source.frozen).map(({ volume }) => volume));
    const rows = [...outcomes.map((outcome) => asRow(outcome, unfrozen)), ...skipped.map(skippedRow)];
    rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
    print(formatTable(['VOLUME', 'CHANGED', 'SINCE THE LAST SEND', ''], rows, [1, 2]));
  }
  return skipped.length > 0 || outcomes.some(({ kind }) => kind === 'failed') ? 3 : 0;
}

function inOrder<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function skippedJson({ name, error }: SkippedEntry) {
  return { name, kind: 'skipped', error };
}

function skippedRow({ name, error }: SkippedEntry): string[] {
  return [name, '', '', error.message];
}

function asJson(outcome: MonitorOutcome) {
  const { volume: name, kind } = outcome;
  switch (outcome.kind) {
    case 'monitored':
      return {
        name,
        kind,
        changedBytes: outcome.changedBytes,
        maps: outcome.maps.map(({ archive, changedChunks }) => ({ archive, changedChunks })),
      };
    case 'unpaired':
      return { name, kind };
    case 'reset':
      return { name, kind, reason: outcome.reason };
    case 'missing':
    case 'failed':
      return { name, kind, error: { code: outcome.error.code, message: outcome.error.message } };
  }
}

/** @param unfrozen volumes whose source has no snapshots, and so nothing to compare with */
function asRow(outcome: MonitorOutcome, unfrozen: ReadonlySet<string>): string[] {
  const { volume } = outcome;
  switch (outcome.kind) {
    case 'monitored': {
      const chunks = Math.max(0, ...outcome.maps.map(({ changedChunks }) => changedChunks));
      return [volume, formatBytes(outcome.changedBytes), `${chunks} chunks`, ''];
    }
    case 'unpaired':
      return [
        volume,
        '',
        '',
        unfrozen.has(volume) ? 'read in full by each send' : 'not sent yet: "sparsebak send --full"',
      ];
    case 'reset':
      return [volume, '', '', `will be compared in full: ${outcome.reason}`];
    case 'missing':
      return [volume, '', '', 'not there'];
    case 'failed':
      return [volume, '', '', `failed: ${outcome.error.message}`];
  }
}
