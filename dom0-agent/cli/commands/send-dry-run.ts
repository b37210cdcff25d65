/** `send --dry-run`: a monitor step, and what a send would read. Nothing leaves this computer. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { Pool } from '../../capture/pools.ts';
import type { Selection } from '../../capture/selection.ts';
import { reportOf, type ErrorReport } from '../../../shared/errors.ts';
import type { MonitorOutcome } from '../../capture/monitor-volumes.ts';
import type { ArchiveState } from '../../proven-archive/archive-state.ts';
import { describeClock, localClock } from '../../proven-archive/clock-report.ts';
import type { CommandContext } from '../command-context.ts';
import { monitorPools } from '../monitor-pools.ts';
import { formatHints, formatTable, print, printJson } from '../output.ts';

interface DryRunRow {
  readonly name: string;
  /** null: the whole volume, or nothing if there is an error. */
  readonly changedBytes: number | null;
  readonly error?: ErrorReport;
}

export async function dryRun(
  context: CommandContext,
  pools: readonly Pool[],
  selection: Selection,
  state: ArchiveState,
): Promise<number> {
  const { record } = state;
  const clock = localClock(state, Date.now());
  const { outcomes, ended } = await monitorPools(context, pools, selection);
  const rows = [
    ...outcomes.map((outcome) => rowOf(outcome, record)),
    ...selection.skipped.map(({ name, error }): DryRunRow => ({ name, changedBytes: null, error })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (context.json) printJson({ dryRun: true, clock, volumes: rows });
  else {
    const cells = rows.map(({ name, changedBytes, error }) => [
      name,
      error !== undefined ? '' : changedBytes === null ? 'everything' : formatBytes(changedBytes),
      error?.message ?? '',
    ]);
    const table = formatTable(['VOLUME', 'WOULD READ', ''], cells, [1]);
    print([table, ...formatHints(rows), ...(clock === null ? [] : [describeClock(clock)])].join('\n'));
  }
  if (ended !== undefined) throw ended;
  return rows.some(({ error }) => error !== undefined) ? 3 : 0;
}

function rowOf(outcome: MonitorOutcome, { archive, chunkSize }: ArchiveState['record']): DryRunRow {
  const { volume: name } = outcome;
  if (outcome.kind === 'missing' || outcome.kind === 'failed') {
    return { name, changedBytes: null, error: reportOf(outcome.error) };
  }
  const map = outcome.kind === 'monitored' ? outcome.maps.find((ref) => ref.archive === archive) : undefined;
  return { name, changedBytes: map === undefined ? null : map.changedChunks * chunkSize };
}
