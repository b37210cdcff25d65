/**
 * Monitors the selected volumes of all pools. A pool's failure is reported for its volumes, and the other pools
 * continue.
 */
import { withRoom } from '../capture/make-room.ts';
import { monitor, type MonitorOutcome } from '../capture/monitor-volumes.ts';
import type { SelectedVolume } from '../capture/look-at-pool.ts';
import type { Pool } from '../capture/pools.ts';
import { missingVolume, type Selection } from '../capture/selection.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { CommandContext } from './command-context.ts';
import { isSendingTo } from '../proven-archive/is-sending.ts';

export interface MonitorRun {
  /** By name; one for each selected volume. */
  readonly outcomes: readonly MonitorOutcome[];
  /** The error that ended the run before all pools were done. */
  readonly ended: SparsebakError | undefined;
}

export async function monitorPools(
  context: CommandContext,
  pools: readonly Pool[],
  { volumes }: Selection,
): Promise<MonitorRun> {
  const outcomes: MonitorOutcome[] = [];
  let ended: SparsebakError | undefined;
  for (const pool of pools) {
    const here = volumes.filter((entry) => entry.pool === pool);
    for (const entry of here) if (entry.missing) outcomes.push(missingOutcome(entry));
    const names = here.filter(({ missing }) => !missing).map(({ volume }) => volume);
    if (names.length === 0) continue;
    try {
      if (ended !== undefined) throw ended;
      context.throwIfInterrupted();
      const isSending = isSendingTo(context.config);
      outcomes.push(...(await withRoom(pool, { isSending }, () => monitor(pool, names))));
    } catch (caught) {
      const error = context.signal.aborted
        ? new SparsebakError('interrupted', 'interrupted')
        : asSparsebakError(caught, 'source');
      outcomes.push(...names.map((volume): MonitorOutcome => ({ kind: 'failed', volume, error })));
      // All pools share the lock.
      if (error.code === 'interrupted' || error.code === 'locked') ended = error;
    }
  }
  outcomes.sort((a, b) => (a.volume < b.volume ? -1 : 1));
  return { outcomes, ended };
}

function missingOutcome(entry: SelectedVolume): MonitorOutcome {
  return { kind: 'missing', volume: entry.volume, error: missingVolume(entry) };
}
