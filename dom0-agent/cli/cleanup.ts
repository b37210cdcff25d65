/**
 * Done at the end of each complete run: removes what killed runs left, and reports missing volumes. A failure here
 * costs only space, and does not change the run's result.
 */
import { removeStale } from '../capture/remove-stale.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { Pool } from '../capture/pools.ts';
import type { CommandContext } from './command-context.ts';
import { isSendingTo } from '../proven-archive/is-sending.ts';

/** @param isGone whether a missing volume is known never to return */
export async function tidy(
  context: CommandContext,
  pools: readonly Pool[],
  isGone: (volume: string) => boolean = () => false,
): Promise<void> {
  for (const pool of pools) {
    const told = await removeStale(pool, { now: Date.now(), isGone, isSending: isSendingTo(context.config) }).catch(
      (error: unknown) => asSparsebakError(error),
    );
    if (told instanceof SparsebakError) {
      context.log.warn(`pool ${pool.pool}: could not look for leftovers of earlier runs: ${told.message}`);
      continue;
    }
    const { missing, longMissing } = told;
    for (const { volume, since } of missing.filter((each) => !isGone(each.volume))) {
      const day = new Date(since).toISOString().slice(0, 10);
      context.log.warn({ volume }, `${volume} is not there (first missed on ${day}); its sessions stay in the archive`);
    }
    for (const volume of longMissing.filter((each) => !isGone(each))) {
      context.log.warn({ volume }, `${volume} was missing for a week: its snapshot and change record were removed`);
    }
  }
}
