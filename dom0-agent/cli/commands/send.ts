/** `send`: a backup of every selected volume into the archive. */
import { monitor as monitorPool } from '../../capture/monitor.ts';
import { isSendingTo } from '../sending.ts';
import { tidy } from '../tidy.ts';
import { withRoom } from '../../capture/make-room.ts';
import { selectVolumes, type Selection } from '../../config/selection.ts';
import { checkTags } from '../../maintain/check-tags.ts';
import { hasUnfinishedChanges } from '../../maintain/unfinished-changes.ts';
import { ArchiveState } from '../../trust/archive-state.ts';
import { describeClock, localClock, refuseLateClock } from '../../trust/clock.ts';
import { send as runSend } from '../../send/send.ts';
import { withSkipped, type SendReport, type VolumeReport } from '../../send/report.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatSeconds, formatTable, print, printJson } from '../output.ts';
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
  const pools = context.pools();
  const selection = await selectVolumes(pools, names);
  if (options.dryRun === true) return dryRun(context, pools, selection);
  refuseLateClock(Date.now(), options.acceptClock === true);
  checkTags(options.tag ?? []);
  mayAutoprune(context, options);
  await finishNoted(context, state);
  const before = config.autoprune === 'space' ? await autoprune(context, options) : undefined;
  const sent = await runSend({
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
  await finishNoted(context, state);
  const status = exitStatus(report);
  // Of an archive that is not what it must be nothing is taken away.
  const after = config.autoprune === 'policy' && status !== 4 ? await autoprune(context, options) : undefined;
  const pruned = before ?? after;
  if (context.json) printJson(pruned === undefined ? report : { ...report, pruned });
  else print(pruned === undefined ? asText(report) : `${asText(report)}\n${describeAutopruned(pruned)}`);
  return status === 0 && hasRefused(pruned) ? 3 : status;
}

/** What an earlier command left half-way, or this send's tags ask for. */
async function finishNoted(context: CommandContext, state: ArchiveState): Promise<void> {
  if (!hasUnfinishedChanges(state)) return;
  const { withWriter } = await import('../../maintain/with-writer.ts');
  await withWriter(writerOptions(context), () => Promise.resolve());
}

interface DryRunRow {
  readonly name: string;
  /** null: all of it, or none of it where there is an error. */
  readonly changedBytes: number | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A monitor step, and what it would send; nothing leaves this machine. */
async function dryRun(
  context: CommandContext,
  pools: ReturnType<CommandContext['pools']>,
  { volumes, skipped }: Selection,
): Promise<number> {
  const { archive, config } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const { record } = state;
  const clock = localClock(state, Date.now());
  const rows: DryRunRow[] = skipped.map(({ name, error }) => ({ name, changedBytes: null, error }));
  for (const pool of pools) {
    const names = volumes.filter((entry) => entry.pool === pool && !entry.missing).map(({ volume }) => volume);
    for (const outcome of names.length === 0
      ? []
      : await withRoom(pool, { isSending: isSendingTo(config) }, () => monitorPool(pool, names))) {
      const map = outcome.kind === 'monitored' ? outcome.maps.find((ref) => ref.archive === record.archive) : undefined;
      rows.push({
        name: outcome.volume,
        changedBytes: map === undefined ? null : map.changedChunks * record.chunkSize,
      });
    }
  }
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (context.json) printJson({ dryRun: true, clock, volumes: rows });
  else {
    const cells = rows.map(({ name, changedBytes, error }) => [
      name,
      error !== undefined ? '' : changedBytes === null ? 'everything' : formatBytes(changedBytes),
      error?.message ?? '',
    ]);
    const table = formatTable(['VOLUME', 'WOULD READ', ''], cells, [1]);
    print([table, ...(clock === null ? [] : [describeClock(clock)])].join('\n'));
  }
  return rows.some(({ error }) => error !== undefined) ? 3 : 0;
}

function exitStatus({ volumes }: SendReport): number {
  if (volumes.some(({ error }) => error?.code === 'rollback' || error?.code === 'integrity')) return 4;
  return volumes.some(({ kind }) => kind === 'failed' || kind === 'skipped') ? 3 : 0;
}

function asText({ session, clock, volumes }: SendReport): string {
  const rows = volumes.map((volume) => [
    volume.name,
    volume.compared ? `${volume.kind}, compared` : volume.kind,
    formatBytes(volume.volumeBytes),
    formatBytes(volume.changedBytes),
    formatBytes(volume.sentBytes),
    formatSeconds(volume.seconds),
    remarks(volume).join('; '),
  ]);
  const table = formatTable(['VOLUME', 'KIND', 'SIZE', 'CHANGED', 'SENT', 'TIME', ''], rows, [2, 3, 4, 5]);
  return [table, ...(clock === null ? [] : [describeClock(clock)]), summary(session, volumes)].join('\n');
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
