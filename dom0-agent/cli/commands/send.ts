/** `send`: a backup of every selected volume into the archive. */
import { isSendingTo } from '../sending.ts';
import { tidy } from '../tidy.ts';
import { knownToArchive } from '../../config/known-volumes.ts';
import { selectVolumes } from '../../config/selection.ts';
import { asSparsebakError, reportOf, type SparsebakError } from '../../../shared/errors.ts';
import { checkTags } from '../../maintain/check-tags.ts';
import { hasUnfinishedChanges } from '../../maintain/unfinished-changes.ts';
import { ArchiveState } from '../../trust/archive-state.ts';
import { describeClock, refuseLateClock } from '../../trust/clock.ts';
import { Pin } from '../../trust/pin.ts';
import { send as runSend } from '../../send/send.ts';
import { withSkipped, type SendReport, type VolumeReport } from '../../send/report.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatHints, formatSeconds, formatTable, print, printJson } from '../output.ts';
import { dryRun } from './send-dry-run.ts';
import { writerOptions } from '../writer-options.ts';
import { autoprune, describeAutopruned, hasRefused, mayAutoprune, type AutopruneOptions } from '../autoprune.ts';

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
  const { ended, ...sent } = await runSend({
    archive,
    state,
    pools,
    volumes: selection.volumes,
    full: options.full === true || config.initial === 'full',
    tags: options.tag ?? [],
    acceptRollback: options.acceptRollback === true,
    lockWait: context.lockWait,
    rereadPerDay: config.rereadPerDay,
    isSending: isSendingTo(config),
    signal: context.signal,
    log: context.log,
    progress: context.progress,
    onWait: context.onWait,
  });
  const report = withSkipped(sent, selection.skipped);
  context.progress.clear();
  if (names.length === 0) await tidy(context, pools);
  const unfinished = ended ?? (await finishNoted(context, state).then(() => undefined, asSparsebakError));
  const status = unfinished?.exitStatus ?? exitStatus(report);
  // Of an archive that is not what it must be nothing is taken away.
  const mayPrune = config.autoprune === 'policy' && status !== 4 && unfinished === undefined;
  const after = mayPrune ? await autoprune(context, options) : undefined;
  const pruned = before ?? after;
  const error = unfinished === undefined ? {} : { error: reportOf(unfinished) };
  if (context.json) printJson({ ...report, ...(pruned === undefined ? {} : { pruned }), ...error });
  else {
    const text = asText(report, unfinished);
    print(pruned === undefined ? text : `${text}\n${describeAutopruned(pruned)}`);
  }
  if (unfinished !== undefined) throw unfinished;
  return status === 0 && hasRefused(pruned) ? 3 : status;
}

/** What an earlier command left half-way, or this send's tags ask for. */
async function finishNoted(context: CommandContext, state: ArchiveState): Promise<void> {
  if (!hasUnfinishedChanges(state)) return;
  const { withWriter } = await import('../../maintain/with-writer.ts');
  await withWriter(writerOptions(context), () => Promise.resolve());
}

function exitStatus({ volumes }: SendReport): number {
  if (volumes.some(({ error }) => error?.code === 'rollback' || error?.code === 'integrity')) return 4;
  return volumes.some(({ kind }) => kind === 'failed' || kind === 'skipped') ? 3 : 0;
}

/** @param ended said by itself, with what to do */
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
  const hints = formatHints(volumes.filter(({ error }) => error?.message !== ended?.message));
  const doubts = clock === null ? [] : [describeClock(clock)];
  return [table, ...hints, ...doubts, summary(session, volumes)].join('\n');
}

function remarks({ error, running }: VolumeReport): string[] {
  return [
    ...(error === undefined ? [] : [error.message]),
    ...(running === true ? ['its qube runs: what that wrote is not in the archive'] : []),
  ];
}

function summary(session: string | null, volumes: readonly VolumeReport[]): string {
  if (session !== null) return `Session ${session}.`;
  return volumes.every(({ kind }) => kind === 'unchanged')
    ? 'Nothing changed: no new session.'
    : 'No session was made.';
}
