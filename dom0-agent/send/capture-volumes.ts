/** Captures all volumes of a send before the first byte is read. */
import { Geometry } from '../../shared/archive/address.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import type { VolumeId } from '../../shared/archive/names.ts';
import { beginSend, type SendStart } from '../capture/begin-send.ts';
import { withRoom } from '../capture/make-room.ts';
import type { PlannedVolume } from './planned-volumes.ts';
import { bytesOf } from './prepare.ts';
import type { SendContext, SendHost } from './send-context.ts';

/**
 * All volumes of all pools are snapshotted before the first byte is read. One pool's failure does not stop the others.
 */
export async function captureVolumes(
  planned: readonly PlannedVolume[],
  host: SendHost,
): Promise<Map<string, SendStart>> {
  const starts = new Map<string, SendStart>();
  for (const pool of new Set(planned.map((plan) => plan.pool))) {
    const requests = planned.filter((plan) => plan.pool === pool).map(({ request }) => request);
    try {
      const places = requests.map(({ volume }) => ({ volume, pool: pool.pool }));
      const begun = await host.hooks.around(places, () => withRoom(pool, host, () => beginSend(pool, requests)));
      for (const start of begun) starts.set(start.volume, start);
    } catch (caught) {
      const error = asSparsebakError(caught, 'source');
      // All pools share the lock.
      if (host.signal.aborted || error.code === 'locked') throw error;
      for (const { volume } of requests) starts.set(volume, { kind: 'failed', volume, error });
    }
  }
  return starts;
}

/** Announces how much there is to read, as far as it is known in advance. */
export async function announce(
  { archive, progress, workers }: SendContext,
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
): Promise<void> {
  const { chunkSize } = archive.state.record;
  for (const { pool, request, base } of planned) {
    const start = starts.get(request.volume);
    if (start?.kind !== 'begun') continue;
    const { map, tock } = start;
    const isMarked = map !== null && !base.rolledBack;
    const bytes = isMarked
      ? bytesOf(map, new Geometry(chunkSize, tock.size))
      : ((await pool.source.occupied?.(tock)) ?? tock.size);
    const expected = Math.min(tock.size, bytes);
    workers.expect(expected);
    progress.expect(request.volume, expected);
  }
}

/** Notes the owners of the captured files, before any of them can be committed. */
export function ownerships(
  planned: readonly PlannedVolume[],
  starts: ReadonlyMap<string, SendStart>,
): Map<VolumeId, string | undefined> {
  const found = new Map<VolumeId, string | undefined>();
  for (const { request } of planned) {
    const start = starts.get(request.volume);
    if (start?.kind === 'begun') found.set(request.volumeId, start.tock.ownership);
  }
  return found;
}
