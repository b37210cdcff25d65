/** `send --autoprune`: what the configuration's retention policy lets go, without a question. */
import { isEmptyPolicy } from '../../shared/archive/retention.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { PruneReport } from '../maintain/prune.ts';
import type { CommandContext } from './context.ts';
import { describePrune } from './describe-prune.ts';
import { writerOptions } from './writer-options.ts';

export interface AutopruneOptions {
  readonly autoprune?: boolean;
  readonly acceptRollback?: boolean;
  /** More than half of a volume's sessions may go at once. */
  readonly yes?: boolean;
}

/** What was pruned, or why nothing was: the send is told of all the same. */
export interface Autopruned extends PruneReport {
  readonly error?: { readonly code: string; readonly message: string };
}

/** @throws `config` where nothing says what to keep, before anything is sent */
export function mayAutoprune({ config }: CommandContext, options: AutopruneOptions): void {
  if (options.autoprune !== true) {
    if (options.yes === true) throw new SparsebakError('usage', '--yes goes with --autoprune', {});
    return;
  }
  if (!isEmptyPolicy(config.retention)) return;
  throw new SparsebakError('config', '--autoprune, but nothing says which sessions to keep', {
    hint: 'Put keep_daily and its like under [retention] in the configuration.',
  });
}

/** Undefined where it was not asked for. @throws `interrupted` */
export async function autoprune(context: CommandContext, options: AutopruneOptions): Promise<Autopruned | undefined> {
  const { autoprune: mode, retention: policy, lowSpace: low } = context.config;
  if (options.autoprune !== true || options.acceptRollback === true) return undefined;
  const { pruneArchive } = await import('../maintain/prune.ts');
  const { withWriter } = await import('../maintain/with-writer.ts');
  const request = {
    names: [],
    choice: { kind: 'policy', policy },
    mayRemoveMost: options.yes === true,
    ...(mode === 'space' ? { low } : {}),
  } as const;
  try {
    return await withWriter(writerOptions(context), (writer) => pruneArchive(writer, request));
  } catch (caught) {
    const { code, message } = asSparsebakError(caught);
    if (code === 'interrupted') throw caught;
    return { dryRun: false, volumes: [], freedBytes: 0, error: { code, message } };
  }
}

export function describeAutopruned(pruned: Autopruned): string {
  return pruned.error === undefined ? describePrune(pruned) : `Not pruned: ${pruned.error.message}`;
}

/** Whether there is something that was to go and did not. */
export function hasRefused(pruned: Autopruned | undefined): boolean {
  if (pruned === undefined) return false;
  return pruned.error !== undefined || pruned.volumes.some(({ error }) => error !== undefined);
}
