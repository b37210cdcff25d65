/**
 * A run of a command that is meant to run by itself: it is recorded, and whoever the configuration names is told how it
 * ended.
 */
import { EXIT_STATUS, SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../shared/errors.ts';
import { archiveFolder, ArchiveState } from '../proven-archive/archive-state.ts';
import type { ArchiveConfig, Config } from '../config/config.ts';
import { describeOverdue, volumeAges } from '../runs/overdue.ts';
import { isJournal } from '../../shared/terminal/journal.ts';
import { writeJournalEntry } from '../runs/journal-entry.ts';
import { noticeOf, tell } from '../runs/notice.ts';
import { RECORDED, type RecordedCommand } from '../runs/recorded-commands.ts';
import { noteRun, readRun } from '../runs/run-records.ts';
import { writeMetrics, type ArchiveMetrics } from '../runs/metrics.ts';
import type { CommandContext } from './command-context.ts';
import type { Run } from './command-runner.ts';

/** @returns the exit status; `partial` if everything was done, but the notice could not be given */
export async function recordedRun(context: CommandContext, command: RecordedCommand, run: Run): Promise<number> {
  let status: number;
  let failure: SparsebakError | undefined;
  try {
    status = await run(context);
  } catch (caught) {
    failure = context.signal.aborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(caught);
    status = failure.exitStatus;
    const told = await afterwards(context, command, status, reportOf(failure));
    for (const problem of told) context.log.error(problem);
    throw caught;
  }
  const problems = await afterwards(context, command, status, undefined);
  for (const problem of problems) context.log.error(problem);
  return status === 0 && problems.length > 0 ? EXIT_STATUS.partial : status;
}

/** @returns what went wrong, in words */
async function afterwards(
  context: CommandContext,
  command: RecordedCommand,
  status: number,
  error: ErrorReport | undefined,
): Promise<string[]> {
  // Whoever interrupted it knows, and at a shutdown nobody is to be told.
  if (status === EXIT_STATUS.interrupted) return [];
  let config: Config;
  let archive: ArchiveConfig | undefined;
  try {
    ({ config } = context);
    archive = command === 'monitor' ? undefined : context.archive;
  } catch {
    // Without a configuration nobody is named; systemd's OnFailure tells of that.
    return [];
  }
  const now = Date.now();
  noteRun(archive === undefined ? config.stateDir : archiveFolder(config.stateDir, archive.name), command, now, status);
  const { notices } = config;
  const problems: string[] = [];
  const attempt = async (what: () => Promise<void> | void) => {
    try {
      await what();
    } catch (caught) {
      const { message, hint } = asSparsebakError(caught, 'io');
      problems.push(hint === undefined ? message : `${message}. ${hint}`);
    }
  };
  // Each is done whether or not the other can be.
  await attempt(async () => {
    const isByService = isJournal(2);
    if (notices.command !== undefined || notices.desktop || isByService) {
      const overdue = notices.on === 'failure' ? [] : overdueIn(config, now);
      const told = { command, archive: archive?.name ?? null, status, error, overdue, report: context.document };
      const notice = noticeOf(told, now);
      problems.push(...(await tell(config.stateDir, notices, notice, now)));
      // The lines of the run are in the journal in any case.
      if (isByService) await writeJournalEntry(notice).catch(() => undefined);
    }
  });
  await attempt(() => {
    if (notices.metricsFile !== undefined) writeMetrics(notices.metricsFile, metricsOf(config, now));
  });
  return problems;
}

/** The archives that this computer knows. One whose state is damaged is left out: its own runs fail. */
function statesOf(config: Config): { readonly name: string; readonly state: ArchiveState }[] {
  return config.archives.flatMap(({ name }) => {
    try {
      return [{ name, state: ArchiveState.open(config.stateDir, name) }];
    } catch {
      return [];
    }
  });
}

function overdueIn(config: Config, now: number): string[] {
  const { overdue } = config.notices;
  const states = statesOf(config);
  return states.flatMap(({ name, state }) => {
    const late = describeOverdue(volumeAges(state, overdue, now), now);
    return states.length === 1 ? late : late.map((text) => `archive ${name}: ${text}`);
  });
}

function metricsOf(config: Config, now: number): ArchiveMetrics[] {
  const monitored = readRun(config.stateDir, 'monitor');
  return statesOf(config).map(({ name, state }) => {
    const runs = RECORDED.map((command) => [
      command,
      command === 'monitor' ? monitored : readRun(state.folder, command),
    ]);
    return {
      archive: name,
      runs: Object.fromEntries(runs) as ArchiveMetrics['runs'],
      volumes: volumeAges(state, config.notices.overdue, now),
    };
  });
}
