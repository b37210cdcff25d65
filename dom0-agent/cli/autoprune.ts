/** `send --autoprune`: what the configuration's retention policy lets go, without a question. */
import { isEmptyPolicy } from '../../shared/archive/retention.ts';
import { EXIT_STATUS, SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../shared/errors.ts';
import type { PruneReport } from '../maintain/prune-archive.ts';
import type { CommandContext } from './command-context.ts';
import { describePrune, pruneStatus } from './describe-prune.ts';
import { formatHints } from './output.ts';
import { writerOptions } from './writer-options.ts';

export interface AutopruneOptions {
  readonly autoprune?: boolean;
  readonly acceptRollback?: boolean;
  /** More than half of a volume's sessions may go at once. */
  readonly yes?: boolean;
}

/** What was pruned. The send is told of whatever comes of it. */
export interface Autopruned extends PruneReport {
  /** Why nothing was pruned, or what ended it half-way. */
  readonly error?: ErrorReport;
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

/**
 * Undefined where it was not asked for.
 * @param spared names of volumes that the send found damaged: nothing of them goes
 */
export async function autoprune(
  context: CommandContext,
  options: AutopruneOptions,
  spared: ReadonlySet<string> = new Set(),
): Promise<Autopruned | undefined> {
  const { autoprune: mode, retention: policy, lowSpace: low } = context.config;
  if (options.autoprune !== true || options.acceptRollback === true) return undefined;
  const { pruneArchive } = await import('../maintain/prune-archive.ts');
  const { withWriter } = await import('../maintain/with-writer.ts');
  const request = {
    names: [],
    choice: { kind: 'policy', policy },
    mayRemoveMost: options.yes === true,
    spared,
    ...(mode === 'space' ? { low } : {}),
  } as const;
  try {
    const { report, ended } = await withWriter(writerOptions(context), (writer) => pruneArchive(writer, request));
    return { ...report, ...(ended === undefined ? {} : { error: reportOf(ended) }) };
  } catch (caught) {
    return { dryRun: false, volumes: [], freedBytes: 0, error: reportOf(asSparsebakError(caught)) };
  }
}

export function describeAutopruned(pruned: Autopruned): string {
  const { error } = pruned;
  if (error !== undefined && pruned.volumes.length === 0) return `Not pruned: ${error.message}`;
  const refused = pruned.volumes.flatMap(({ name, error }) =>
    error === undefined ? [] : [`${name}: ${error.message}`],
  );
  const cut = error === undefined ? [] : [`Pruning ended before its end: ${error.message}`];
  return [describePrune(pruned), ...cut, ...refused, ...formatHints(pruned.volumes)].join('\n');
}

/** Not 0 where there is something that was to go and did not. */
export function autopruneStatus(pruned: Autopruned | undefined): number {
  if (pruned === undefined) return 0;
  return pruned.error === undefined ? pruneStatus(pruned) : EXIT_STATUS.partial;
}
