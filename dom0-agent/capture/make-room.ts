/**
 * A step that snapshots, in a pool that may be nearly full: then snapshots of ours are given up, and the step is tried
 * once more. A full pool stops every qube, a backup that starts again costs only time.
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
      new SparsebakError('source', `the pool is nearly full: gave up snapshots of ours (${volumes})`, { cause: error }),
    );
    return await step();
  }
}
