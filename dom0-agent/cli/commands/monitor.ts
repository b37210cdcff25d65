/** `monitor`: records what changed in each volume since the last run. Sends nothing. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { MonitorOutcome } from '../../capture/monitor-volumes.ts';
import type { SkippedEntry } from '../../capture/look-at-pool.ts';
import { selectVolumes } from '../../capture/selection.ts';
import { knownToPool } from '../../capture/known-volumes.ts';
import { reportOf } from '../../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { DOCUMENTS } from '../../capture/pools.ts';
import { monitorPools } from '../monitor-pools.ts';
import { formatHints, formatTable } from '../output.ts';
import { tidy } from '../cleanup.ts';

export async function monitor(context: CommandContext, names: readonly string[]): Promise<number> {
  const pools = await context.poolsToRead();
  const selection = await selectVolumes(pools, { names, known: knownToPool });
  const { volumes: selected, skipped } = selection;
  const { outcomes, ended } = await monitorPools(context, pools, selection);
  if (names.length === 0) await tidy(context, pools);
  const document = { volumes: inOrder([...outcomes.map(asJson), ...skipped.map(skippedJson)]) };
  context.conclude(document, () => {
    const unfrozen = new Map(
      selected
        .filter(({ pool }) => !pool.source.frozen)
        .map(({ volume, pool }) => [volume, pool.pool === DOCUMENTS ? '' : 'read in full by each send']),
    );
    const rows = [...outcomes.map((outcome) => asRow(outcome, unfrozen)), ...skipped.map(skippedRow)];
    rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
    const table = formatTable(['VOLUME', 'CHANGED', 'SINCE THE LAST SEND', ''], rows, [1, 2]);
    return [table, ...formatHints([...outcomes.map(asJson), ...skipped])].join('\n');
  });
  if (ended !== undefined) throw ended;
  return skipped.length > 0 || outcomes.some(({ kind }) => kind === 'failed' || kind === 'missing') ? 3 : 0;
}

function inOrder<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function skippedJson({ name, kind, error }: SkippedEntry) {
  return { name, kind, error };
}

function skippedRow({ name, kind, error }: SkippedEntry): string[] {
  return [name, '', '', kind === 'failed' ? `failed: ${error.message}` : error.message];
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
      return { name, kind, error: reportOf(outcome.error) };
  }
}

/** @param unfrozen what to say of volumes whose source has no snapshots, so that there is nothing to compare with */
function asRow(outcome: MonitorOutcome, unfrozen: ReadonlyMap<string, string>): string[] {
  const { volume } = outcome;
  switch (outcome.kind) {
    case 'monitored': {
      const chunks = Math.max(0, ...outcome.maps.map(({ changedChunks }) => changedChunks));
      return [volume, formatBytes(outcome.changedBytes), `${chunks} chunks`, ''];
    }
    case 'unpaired':
      return [volume, '', '', unfrozen.get(volume) ?? 'not sent yet: "sparsebak send --full"'];
    case 'reset':
      return [volume, '', '', `will be compared in full: ${outcome.reason}`];
    case 'missing':
      return [volume, '', '', 'not there'];
    case 'failed':
      return [volume, '', '', `failed: ${outcome.error.message}`];
  }
}
