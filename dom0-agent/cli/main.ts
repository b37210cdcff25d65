/**
 * From arguments to exit status: handles errors in one place, signals, and output that must be complete before the
 * exit.
 */
import { CommanderError } from 'commander';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { print, printError, printJsonError } from './output.ts';
import { runProgram } from './program.ts';
import { usageOf } from './usage-error.ts';
import { leaveDeletedFolder } from './working-folder.ts';

/** Runs one command and sets the process's exit status; never ends the process before all output is written. */
export async function main(args: readonly string[]): Promise<void> {
  leaveDeletedFolder();
  const abort = new AbortController();
  const interrupt = () => {
    // A second signal ends at once: the next run recovers from what was left unfinished.
    if (abort.signal.aborted) process.exit(130);
    abort.abort(
      new SparsebakError('interrupted', 'interrupted', {
        hint: 'Nothing that was committed is lost; run the command again.',
      }),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  process.stdout.on('error', () => undefined);
  process.exitCode = await statusOf(args, abort.signal);
}

async function statusOf(args: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    return await runProgram(args, signal);
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) return 0;
    const error =
      caught instanceof CommanderError
        ? usageOf(caught)
        : signal.aborted
          ? (signal.reason as SparsebakError)
          : asSparsebakError(caught);
    if (process.env.SPARSEBAK_DEBUG !== undefined) print(String(caught instanceof Error ? caught.stack : caught), 2);
    if (wantsJson(args)) printJsonError(error);
    printError(error);
    return error.exitStatus;
  }
}

/** Works before the arguments are parsed, or when they cannot be. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).includes('--json');
}
