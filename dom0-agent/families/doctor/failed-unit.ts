/**
 * Tells that a systemd unit failed, for `OnFailure=`. A run that came as far as its end has told that itself; this is
 * for one that was killed, did not start, or could not read its configuration.
 */
import { asSparsebakError } from '../../../shared/errors.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import type { Config } from '../../config/config.ts';
import { archiveFolder } from '../../proven-archive/archive-state.ts';
import { noticeOf, tell } from '../../runs/notice.ts';
import { isRecorded, type RecordedCommand } from '../../runs/recorded-commands.ts';
import { readRun } from '../../runs/run-records.ts';

/** Milliseconds: systemd starts this within seconds after the unit failed. */
const JUST_NOW = 60_000;

/** @param unit such as sparsebak-send.service @returns the exit status */
export async function noticeOfUnit(context: CommandContext, unit: string): Promise<number> {
  context.log.error({ unit }, `${unit} failed: see "journalctl -u ${unit}"`);
  const { config } = context;
  const command = /^sparsebak-([a-z]+)\.service$/.exec(unit)?.[1] ?? unit;
  const now = Date.now();
  if (isRecorded(command) && hasTold(config, command, now)) return 0;
  const error = { code: 'failed' as const, message: `${unit} failed`, hint: `See "journalctl -u ${unit}".` };
  const told = { command, archive: null, status: 1, error, overdue: [], report: null };
  try {
    const problems = await tell(config.stateDir, config.notices, noticeOf(told, now), now);
    for (const problem of problems) context.log.error(problem);
    return problems.length === 0 ? 0 : 1;
  } catch (caught) {
    throw asSparsebakError(caught);
  }
}

/** Whether a run of the command ended just now, and so has given its own notice. */
function hasTold({ stateDir, archives }: Config, command: RecordedCommand, now: number): boolean {
  const folders = command === 'monitor' ? [stateDir] : archives.map(({ name }) => archiveFolder(stateDir, name));
  return folders.some((folder) => {
    const last = readRun(folder, command);
    return last !== undefined && last.status !== 0 && Math.abs(now - last.time) < JUST_NOW;
  });
}
