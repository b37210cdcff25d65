/** `prune`: removes sessions, by name or by retention policy. All other sessions stay as they are. */
import { isSessionName, type SessionName } from '../../../shared/archive/names.ts';
import { isEmptyPolicy, type RetentionPolicy } from '../../../shared/archive/retention.ts';
import { SparsebakError, reportOf } from '../../../shared/errors.ts';
import { goingOf, planPrune, type PruneChoice, type VolumePlan } from '../../maintain/prune-plan.ts';
import { pruneArchive, unchanged, weigh, type PruneReport } from '../../maintain/prune-archive.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../command-context.ts';
import { describePrune, pruneErrors, pruneStatus } from '../describe-prune.ts';
import { printVolumeErrors } from '../volume-errors.ts';
import { withArchive } from '../with-archive.ts';
import { writerOptions } from '../writer-options.ts';

export interface PruneOptions {
  readonly session?: string;
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepTag?: readonly string[];
  /** Milliseconds. */
  readonly keepWithin?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export async function prune(context: CommandContext, names: readonly string[], options: PruneOptions): Promise<number> {
  const choice = choiceOf(context, options);
  if (options.dryRun === true) {
    const report = await withArchive(context, 'retrieve', async (open) =>
      weigh(open, (await planPrune(open, names, choice)).plans),
    );
    return show(context, report);
  }
  const agreed = choice.kind === 'policy' && options.yes !== true ? await ask(context, names, choice) : undefined;
  if (agreed?.every((plan) => goingOf(plan).length === 0) === true) {
    return show(context, unchanged(agreed));
  }
  const { report, ended } = await withWriter(writerOptions(context), (writer) =>
    pruneArchive(writer, { names, choice, mayRemoveMost: true, ...(agreed === undefined ? {} : { agreed }) }),
  );
  const status = show(context, report, ended);
  if (ended !== undefined) throw ended;
  return status;
}

/** Shows what would be removed, before anything is locked. @returns what the user confirmed */
async function ask(
  context: CommandContext,
  names: readonly string[],
  choice: PruneChoice,
): Promise<readonly VolumePlan[]> {
  const { plans, report } = await withArchive(context, 'retrieve', async (open) => {
    const planned = (await planPrune(open, names, choice)).plans;
    return { plans: planned, report: await weigh(open, planned) };
  });
  const count = plans.reduce((sum, plan) => sum + goingOf(plan).length, 0);
  if (count > 0) await confirm(describePrune(report), `Prune ${count} sessions permanently?`, false);
  return plans;
}

function choiceOf({ config }: CommandContext, options: PruneOptions): PruneChoice {
  const policy: RetentionPolicy = {
    last: options.keepLast,
    hourly: options.keepHourly,
    daily: options.keepDaily,
    weekly: options.keepWeekly,
    monthly: options.keepMonthly,
    yearly: options.keepYearly,
    within: options.keepWithin,
    tags: options.keepTag,
  };
  if (options.session !== undefined) {
    if (!isEmptyPolicy(policy)) throw new SparsebakError('usage', '--session and --keep-… exclude each other');
    return { kind: 'sessions', ...rangeOf(options.session) };
  }
  if (!isEmptyPolicy(policy)) return { kind: 'policy', policy };
  if (isEmptyPolicy(config.retention)) {
    throw new SparsebakError('usage', 'no sessions to prune or to keep are specified', {
      hint:
        'Give --session, or --keep-daily or similar options, or set keep_daily or similar fields under [retention] ' +
        'in the configuration.',
    });
  }
  return { kind: 'policy', policy: config.retention };
}

/** `A` or `A..B`. */
function rangeOf(text: string): { first: SessionName; last: SessionName } {
  const [first = '', last = first, ...more] = text.split('..');
  if (more.length > 0 || !isSessionName(first) || !isSessionName(last) || first > last) {
    throw new SparsebakError(
      'usage',
      `--session ${text} is neither a session nor two sessions with ".." between them, the older first`,
      {
        hint: 'Sessions are named like S_20261123-020000; see "sparsebak list".',
      },
    );
  }
  return { first, last };
}

/** @returns the exit status */
function show(context: CommandContext, report: PruneReport, ended?: SparsebakError): number {
  const document = { ...report, ...(ended === undefined ? {} : { error: reportOf(ended) }) };
  context.conclude(document, () => describePrune(report));
  printVolumeErrors(pruneErrors(report));
  return pruneStatus(report);
}
