/** `send`: a backup of every selected volume into the archive. */
import { formatBytes, formatSeconds } from '../../../shared/terminal/sizes.ts';
import { isSendingTo } from '../../proven-archive/is-sending.ts';
import { tidy } from '../cleanup.ts';
import { knownToArchive } from '../../capture/known-volumes.ts';
import { incompleteEntries } from '../../capture/look-at-pool.ts';
import { selectVolumes, type Selection } from '../../capture/selection.ts';
import type { Pool } from '../../capture/pools.ts';
import { Hooks } from '../../runs/hooks.ts';
import { noteSent } from '../../runs/run-records.ts';
import { Pace } from '../../../shared/pace.ts';
import type { VolumeId } from '../../../shared/archive/names.ts';
import { EXIT_STATUS, asSparsebakError, reportOf, SparsebakError } from '../../../shared/errors.ts';
import { checkTags } from '../../maintain/check-tags.ts';
import { hasUnfinishedChanges } from '../../proven-archive/unfinished-changes.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { describeClock, refuseLateClock } from '../../proven-archive/clock-report.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { send as runSend } from '../../send/send-volumes.ts';
import { withSkipped, type SendReport, type VolumeReport } from '../../send/send-report.ts';
import type { CommandContext } from '../command-context.ts';
import { changedEntries, lookForChangedQubes, noteSavedQubes, renameInArchive } from '../follow-qubes.ts';
import { parseArchiveName } from '../../qubes/names.ts';
import { formatHints, formatTable } from '../output.ts';
import { dryRun } from './send-dry-run.ts';
import { writerOptions } from '../writer-options.ts';
import {
  autoprune,
  autopruneStatus,
  describeAutopruned,
  mayAutoprune,
  type AutopruneOptions,
  type Autopruned,
} from '../autoprune.ts';
import { describeDamage, isDamaged, sendStatus, unrepaired } from '../describe-damage.ts';

export interface SendCommandOptions extends AutopruneOptions {
  readonly full?: boolean;
  readonly tag?: readonly string[];
  readonly dryRun?: boolean;
  readonly acceptClock?: boolean;
  /** Bytes of volumes to read a second. */
  readonly limitRate?: number;
}

export async function send(
  context: CommandContext,
  names: readonly string[],
  options: SendCommandOptions,
): Promise<number> {
  const { archive, config, signal } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const pools = await context.poolsToRead();
  if (options.dryRun !== true) {
    refuseLateClock(Date.now(), options.acceptClock === true);
    checkTags(options.tag ?? []);
    mayAutoprune(context, options);
  }
  const followed = await lookForChangedQubes(pools, state);
  if (options.dryRun !== true && followed !== undefined) await renameInArchive(context, state, followed.renamed);
  const known = knownToArchive(new Pin(state).current?.catalogue.volumes ?? []);
  const selected = await selectVolumes(pools, { names, known });
  const changed = followed === undefined || names.length > 0 ? [] : changedEntries(followed);
  const told = new Set(changed.map(({ name }) => name));
  const selection = { ...selected, skipped: [...selected.skipped.filter(({ name }) => !told.has(name)), ...changed] };
  if (options.dryRun === true) return dryRun(context, pools, selection, state);
  const hooks = new Hooks(config.notices, archive.name, signal);
  // What `before_send` began, `after_send` must end, also when it was interrupted.
  const gone = followed?.gone ?? [];
  const sending = hooks
    .beforeSend()
    .then(() => sendSelected(context, { state, pools, selection, names, gone, options, hooks }));
  const outcome = await sending.catch(async (caught: unknown) => {
    const error = signal.aborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(caught);
    await hooks.afterSend(error.exitStatus, { error: reportOf(error) });
    for (const { error: failure } of hooks.failures) context.log.warn(failure.message);
    throw caught;
  });
  await hooks.afterSend(outcome.status, outcome.document);
  return conclude(context, outcome, hooks);
}

interface Sending {
  readonly state: ArchiveState;
  readonly pools: readonly Pool[];
  readonly selection: Selection;
  readonly names: readonly string[];
  /** Qubes that exist no more. */
  readonly gone: readonly string[];
  readonly options: SendCommandOptions;
  readonly hooks: Hooks;
}

/** A send that came as far as a report. */
interface Outcome {
  readonly report: SendReport;
  readonly pruned: Autopruned | undefined;
  /** What ended it early. */
  readonly ended: SparsebakError | undefined;
  readonly document: object;
  readonly status: number;
}

async function sendSelected(
  context: CommandContext,
  { state, pools, selection, names, gone, options, hooks }: Sending,
): Promise<Outcome> {
  const { archive, config } = context;
  await finishNoted(context, state);
  const before = config.autoprune === 'space' ? await autoprune(context, options) : undefined;
  context.progress.begin('sending');
  const { lockWait, signal, log, progress, onWait } = context;
  const pace = new Pace(options.limitRate ?? Infinity);
  const { ended: stopped, ...sent } = await runSend(
    { archive, state, acceptRollback: options.acceptRollback === true, lockWait },
    {
      pools,
      volumes: selection.volumes,
      full: options.full === true || config.initial === 'full',
      tags: options.tag ?? [],
      rereadPerDay: config.rereadPerDay,
    },
    { isSending: isSendingTo(config), signal, log, progress, onWait, hooks, pace },
  );
  const report = withSkipped(sent, [...selection.skipped, ...incompleteEntries(pools)]);
  context.progress.clear();
  noteVolumes(state, report, names.length === 0);
  noteSavedQubes(pools, state, selection, names.length === 0);
  if (names.length === 0) await tidy(context, pools, (volume) => gone.includes(parseArchiveName(volume)?.qube ?? ''));
  const ended = stopped ?? (await finishNoted(context, state).then(() => undefined, asSparsebakError));
  // A damaged volume is not pruned.
  const damaged = new Set(report.volumes.filter(isDamaged).map(({ name }) => name));
  const mayPrune = config.autoprune === 'policy' && ended === undefined;
  const after = mayPrune ? await autoprune(context, options, damaged) : undefined;
  const pruned = before ?? after;
  const error = ended === undefined ? {} : { error: reportOf(ended) };
  const document = { ...report, ...(pruned === undefined ? {} : { pruned }), ...error };
  return { report, pruned, ended, document, status: ended?.exitStatus ?? statusOf(report, pruned) };
}

function statusOf(report: SendReport, pruned: Autopruned | undefined): number {
  const [status, pruning] = [sendStatus(report), autopruneStatus(pruned)];
  return status === 0 || pruning === EXIT_STATUS.integrity ? pruning : status;
}

/** Prints the outcome. @returns the exit status @throws what ended the send early */
function conclude(
  context: CommandContext,
  { report, pruned, ended, document, status }: Outcome,
  { failures }: Hooks,
): number {
  context.conclude({ ...document, ...(failures.length === 0 ? {} : { hooks: failures }) }, () =>
    [
      asText(report, ended),
      ...(pruned === undefined ? [] : [describeAutopruned(pruned)]),
      ...failures.map(({ error: { message, hint = '' } }) => `${message}\n  → ${hint}`),
    ].join('\n'),
  );
  if (ended !== undefined) throw ended;
  if (pruned?.error?.code === 'interrupted') throw new SparsebakError('interrupted', 'interrupted');
  return status === 0 && failures.length > 0 ? EXIT_STATUS.partial : status;
}

/** Notes which volumes were sent or found unchanged, for `doctor` and notices. */
function noteVolumes(state: ArchiveState, report: SendReport, isAll: boolean): void {
  const entries = new Pin(state).current?.catalogue.volumes ?? [];
  const ids = new Map(entries.filter((entry) => entry.state === 'active').map(({ name, id }) => [name, id]));
  const selected = new Map<VolumeId, boolean>();
  for (const { name, kind } of report.volumes) {
    const id = ids.get(name);
    if (id !== undefined) selected.set(id, kind !== 'failed' && kind !== 'skipped');
  }
  noteSent(state.folder, Date.now(), selected, isAll);
}

/** Completes what an earlier command left unfinished, or what this send's tags require. */
async function finishNoted(context: CommandContext, state: ArchiveState): Promise<void> {
  if (!hasUnfinishedChanges(state)) return;
  const { withWriter } = await import('../../maintain/with-writer.ts');
  await withWriter(writerOptions(context), () => Promise.resolve());
}

/** @param ended is printed separately, with its hint */
function asText({ session, clock, volumes }: SendReport, ended: SparsebakError | undefined): string {
  const rows = volumes.map((volume) => [
    volume.name,
    volume.compared ? `${volume.kind}, compared` : volume.kind,
    formatBytes(volume.volumeBytes),
    formatBytes(volume.changedBytes),
    formatBytes(volume.sentBytes),
    formatSeconds(volume.seconds),
    remarks(volume).join('; '),
  ]);
  const table = formatTable(['VOLUME', 'KIND', 'SIZE', 'CHANGED', 'SENT', 'TIME', ''], rows, [2, 3, 4, 5], [5, 2]);
  const failed = volumes.filter(({ error }) => error?.message !== ended?.message);
  const hints = formatHints([...failed, ...volumes.flatMap(unrepaired)]);
  const doubts = clock === null ? [] : [describeClock(clock)];
  return [table, ...hints, ...doubts, summary(session, volumes)].join('\n');
}

function remarks({ error, damage, running }: VolumeReport): string[] {
  return [
    ...(error === undefined ? [] : [error.message]),
    ...(damage === undefined ? [] : [describeDamage(damage)]),
    ...(running === true ? ['its qube is running: what it has written since its start is not in the archive'] : []),
  ];
}

function summary(session: string | null, volumes: readonly VolumeReport[]): string {
  if (session !== null) return `Session ${session}.`;
  return volumes.every(({ kind }) => kind === 'unchanged')
    ? 'Nothing changed: no new session.'
    : 'No session was made.';
}
