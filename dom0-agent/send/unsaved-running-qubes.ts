/** Finds volumes of running qubes that a send captured in the state that they had when the qube started. */
import type { SendStart } from '../capture/begin-send.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import { capturesRunning } from '../capture/pools.ts';
import type { PlannedVolume } from './planned-volumes.ts';
import type { SendContext } from './send-context.ts';
import type { VolumeReport } from './send-report.ts';

/** The names of the volumes. To be called right after their snapshots were made. */
export async function leftBehind(
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
  { log }: Pick<SendContext, 'log'>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const pool of new Set(planned.map((plan) => plan.pool))) {
    if (capturesRunning(pool)) continue;
    const volumes = planned
      .filter((plan) => plan.pool === pool)
      .map(({ request }) => request.volume)
      .filter((volume) => isStopped(starts.get(volume)));
    try {
      for (const volume of (await pool.source.running?.(volumes)) ?? []) found.add(volume);
    } catch (error) {
      log.warn(`pool ${pool.pool}: cannot find out which qubes are running: ${asSparsebakError(error).message}`);
    }
  }
  return found;
}

function isStopped(start: SendStart | undefined): boolean {
  return start?.kind === 'begun' && start.tock.state === 'stopped';
}

/** The reports, with those of the named volumes marked. */
export function withLeftBehind(reports: readonly VolumeReport[], volumes: ReadonlySet<string>): VolumeReport[] {
  return reports.map((report) => (volumes.has(report.name) ? { ...report, running: true } : report));
}
