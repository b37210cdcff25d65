/** `send --autoprune`: removes sessions that the configuration's retention policy does not keep, without asking. */
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
  /** Allows removing more than half of a volume's sessions at once. */
  readonly yes?: boolean;
}

/** What was pruned. Its errors are reported, and do not fail the send. */
export interface Autopruned extends PruneReport {
  /** Why nothing was pruned, or why pruning stopped early. */
  readonly error?: ErrorReport;
}

/** @throws `config` before anything is sent, if there is no retention policy */
export function mayAutoprune({ config }: CommandContext, options: AutopruneOptions): void {
  if (options.autoprune !== true) {
    if (options.yes === true) throw new SparsebakError('usage', '--yes is only allowed with --autoprune', {});
    return;
  }
  if (!isEmptyPolicy(config.retention)) return;
  throw new SparsebakError('config', '--autoprune needs a retention policy, and the configuration has none', {
    hint: 'Set keep_daily or similar fields under [retention] in the configuration.',
  });
}

/**
 * Undefined without --autoprune.
 * @param spared names of volumes that the send found damaged: they are not pruned
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
  const cut = error === undefined ? [] : [`Pruning stopped early: ${error.message}`];
  return [describePrune(pruned), ...cut, ...refused, ...formatHints(pruned.volumes)].join('\n');
}

/** Not 0 if a session that should have been removed was not. */
export function autopruneStatus(pruned: Autopruned | undefined): number {
  if (pruned === undefined) return 0;
  return pruned.error === undefined ? pruneStatus(pruned) : EXIT_STATUS.partial;
}
