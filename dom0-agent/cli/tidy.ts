/** What every whole run does at its end: removes what killed runs left, and says which volumes have gone missing. */
import { reap } from '../capture/reap.ts';
import type { Pool } from '../config/pools.ts';
import type { CommandContext } from './context.ts';
import { isSendingTo } from './sending.ts';

export async function tidy(context: CommandContext, pools: readonly Pool[]): Promise<void> {
  for (const pool of pools) {
    const { missing, reaped } = await reap(pool, { now: Date.now(), isSending: isSendingTo(context.config) });
    for (const { volume, since } of missing) {
      const day = new Date(since).toISOString().slice(0, 10);
      context.log.warn({ volume }, `${volume} is not there (first missed on ${day}); its sessions stay in the archive`);
    }
    for (const volume of reaped) {
      context.log.warn({ volume }, `${volume} was missing for a week: its snapshot and change record were removed`);
    }
  }
}
