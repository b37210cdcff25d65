/** From arguments to exit status: errors in one place, signals, and nothing cut off on the way out. */
import { CommanderError } from 'commander';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { print, printError } from './output.ts';
import { runProgram } from './program.ts';

/** Runs one command and sets the process's exit status; never ends the process while output waits. */
export async function main(args: readonly string[]): Promise<void> {
  const abort = new AbortController();
  const interrupt = () => {
    // A second signal ends at once: what is half done is what the next run heals.
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
    if (caught instanceof CommanderError) return usage(caught);
    const error = signal.aborted ? (signal.reason as SparsebakError) : asSparsebakError(caught);
    if (process.env.SPARSEBAK_DEBUG !== undefined) print(String(caught instanceof Error ? caught.stack : caught), 2);
    printError(error);
    return error.exitStatus;
  }
}

function usage(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  const message = error.message.replace(/^error: /, '');
  printError(
    new SparsebakError('usage', message === '(outputHelp)' ? 'a command is missing' : message, {
      hint: 'See "sparsebak --help".',
    }),
  );
  return 2;
}
