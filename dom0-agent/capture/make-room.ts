/**
 * Runs a step that makes snapshots in a pool that may be nearly full: then it gives up older snapshots of sparsebak and
 * tries the step once more. A full pool stops every qube; a backup that starts over costs only time.
 */
import { SparsebakError } from '../../shared/errors.ts';
import type { Capture } from './capture.ts';
import { release, type ReleaseOptions } from './release-snapshots.ts';

export async function withRoom<T>(
  capture: Capture,
  { isSending }: Pick<ReleaseOptions, 'isSending'>,
  step: () => Promise<T>,
): Promise<T> {
  const isEnough = async (): Promise<boolean> => (await capture.source.hasRoom?.()) !== false;
  try {
    return await step();
  } catch (error) {
    if (await isEnough().catch(() => true)) throw error;
    const released = await release(capture, { isEnough, isSending });
    if (released.length === 0) throw error;
    const volumes = released.join(', ');
    capture.warn(
      new SparsebakError('source', `the pool is nearly full: gave up own snapshots of ${volumes}`, { cause: error }),
    );
    return await step();
  }
}
