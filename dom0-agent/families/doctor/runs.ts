/** When each command last ran, what is overdue, and whether the timers are on. */
import type { ArchiveConfig, Config } from '../../config/config.ts';
import { runProgram } from '../../process/run-program.ts';
import type { ArchiveState } from '../../proven-archive/archive-state.ts';
import { ago, describeOverdue, isLate, volumeAges } from '../../runs/overdue.ts';
import type { RecordedCommand } from '../../runs/recorded-commands.ts';
import { readRun } from '../../runs/run-records.ts';
import { TIMERS } from '../../runs/timers.ts';
import { failed, note, ok, overdue, type Finding } from '../../../shared/findings.ts';

export function checkRuns({ notices, stateDir }: Config, archive: ArchiveConfig, state: ArchiveState): Finding[] {
  const now = Date.now();
  const volumes = volumeAges(state, notices.overdue, now);
  const late = describeOverdue(volumes, now);
  const of = `volumes of ${archive.name}`;
  return [
    run('monitor', stateDir, now, notices.overdue.monitor),
    run('send', state.folder, now, notices.overdue.send),
    run('verify', state.folder, now),
    ...(volumes.length === 0 ? [note(of, 'none was sent yet', 'Send them with "sparsebak send --full".')] : []),
    ...(volumes.length > 0 && late.length === 0 ? [ok(of, `${volumes.length} sent and proven in time`)] : []),
    ...late.map((message) =>
      overdue(of, message, 'Run "sparsebak send" and "sparsebak verify", and see why they failed.'),
    ),
  ];
}

/** @param limit milliseconds after which it is overdue; absent: never */
function run(command: RecordedCommand, folder: string, now: number, limit = Infinity): Finding {
  const check = `last ${command}`;
  const last = readRun(folder, command);
  if (last === undefined) return note(check, 'no run is recorded', `Run "sparsebak ${command}", or enable its timer.`);
  const message = `${ago(last.time, now)}, status ${last.status}`;
  if (last.done === null || isLate(last.done, now, limit)) {
    const since = last.done === null ? 'never done' : `last done ${ago(last.done, now)}`;
    return limit === Infinity && last.status === 0
      ? ok(check, message)
      : overdue(check, `${message}; ${since}`, `Run "sparsebak ${command}", and see what it says.`);
  }
  return last.status === 0 ? ok(check, message) : failed(check, message, `Run "sparsebak ${command}".`);
}

/** By systemctl(1); where there is no systemd, something else may start the commands. */
export async function checkTimers(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const timer of TIMERS) {
    try {
      const properties = ['LoadState', 'ActiveState', 'LastTriggerUSec'].map((name) => `--property=${name}`);
      const text = await runProgram('systemctl', ['show', ...properties, '--', timer], { seconds: 20 });
      const found = new Map(
        text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      findings.push(timerFinding(timer, found));
    } catch {
      return [note('timers', 'systemd does not answer: what starts the commands is not known')];
    }
  }
  return findings;
}

function timerFinding(timer: string, found: ReadonlyMap<string, string>): Finding {
  if (found.get('LoadState') !== 'loaded') {
    return note('timers', `${timer} is not installed`, 'Install the package, or run the commands by other means.');
  }
  if (found.get('ActiveState') !== 'active') {
    return failed('timers', `${timer} is off`, `Turn it on: systemctl enable --now ${timer}`);
  }
  const last = found.get('LastTriggerUSec') ?? '';
  return ok('timers', `${timer} is on${last === '' || last === 'n/a' ? '' : `, last started ${last}`}`);
}
