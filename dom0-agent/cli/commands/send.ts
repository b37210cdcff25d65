/** `send`: a backup of every selected volume into the archive. */
import { formatBytes, formatSeconds } from '../../../shared/terminal/sizes.ts';
import { isSendingTo } from '../../proven-archive/is-sending.ts';
import { tidy } from '../cleanup.ts';
import { knownToArchive } from '../../capture/known-volumes.ts';
import { selectVolumes } from '../../capture/selection.ts';
import { EXIT_STATUS, asSparsebakError, reportOf, SparsebakError } from '../../../shared/errors.ts';
import { checkTags } from '../../maintain/check-tags.ts';
import { hasUnfinishedChanges } from '../../proven-archive/unfinished-changes.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { describeClock, refuseLateClock } from '../../proven-archive/clock-report.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { send as runSend } from '../../send/send-volumes.ts';
import { withSkipped, type SendReport, type VolumeReport } from '../../send/send-report.ts';
import type { CommandContext } from '../command-context.ts';
import { formatHints, formatTable, print, printJson } from '../output.ts';
import { dryRun } from './send-dry-run.ts';
import { writerOptions } from '../writer-options.ts';
import { autoprune, autopruneStatus, describeAutopruned, mayAutoprune, type AutopruneOptions } from '../autoprune.ts';
import { describeDamage, isDamaged, sendStatus, unrepaired } from '../describe-damage.ts';

export interface SendCommandOptions extends AutopruneOptions {
  readonly full?: boolean;
  readonly tag?: readonly string[];
  readonly dryRun?: boolean;
  readonly acceptClock?: boolean;
}

export async function send(
  context: CommandContext,
  names: readonly string[],
  options: SendCommandOptions,
): Promise<number> {
  const { archive, config } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const pools = await context.poolsToRead();
  const known = knownToArchive(new Pin(state).current?.catalogue.volumes ?? []);
  const selection = await selectVolumes(pools, { names, known });
  if (options.dryRun === true) return dryRun(context, pools, selection, state);
  refuseLateClock(Date.now(), options.acceptClock === true);
  checkTags(options.tag ?? []);
  mayAutoprune(context, options);
  await finishNoted(context, state);
  const before = config.autoprune === 'space' ? await autoprune(context, options) : undefined;
  context.progress.begin('sending');
  const { lockWait, signal, log, progress, onWait } = context;
  const { ended, ...sent } = await runSend(
    { archive, state, acceptRollback: options.acceptRollback === true, lockWait },
    {
      pools,
      volumes: selection.volumes,
      full: options.full === true || config.initial === 'full',
      tags: options.tag ?? [],
      rereadPerDay: config.rereadPerDay,
    },
    { isSending: isSendingTo(config), signal, log, progress, onWait },
  );
  const report = withSkipped(sent, selection.skipped);
  context.progress.clear();
  if (names.length === 0) await tidy(context, pools);
  const unfinished = ended ?? (await finishNoted(context, state).then(() => undefined, asSparsebakError));
  // A damaged volume is not pruned.
  const damaged = new Set(report.volumes.filter(isDamaged).map(({ name }) => name));
  const mayPrune = config.autoprune === 'policy' && unfinished === undefined;
  const after = mayPrune ? await autoprune(context, options, damaged) : undefined;
  const pruned = before ?? after;
  const error = unfinished === undefined ? {} : { error: reportOf(unfinished) };
  if (context.json) printJson({ ...report, ...(pruned === undefined ? {} : { pruned }), ...error });
  else {
    const text = asText(report, unfinished);
    print(pruned === undefined ? text : `${text}\n${describeAutopruned(pruned)}`);
  }
  if (unfinished !== undefined) throw unfinished;
  if (pruned?.error?.code === 'interrupted') throw new SparsebakError('interrupted', 'interrupted');
  const [status, pruning] = [sendStatus(report), autopruneStatus(pruned)];
  return status === 0 || pruning === EXIT_STATUS.integrity ? pruning : status;
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
