/** Runs the command line of a family: a program of its own, with the same global options and errors as the core's. */
import { Command, CommanderError } from 'commander';
import { CommandContext } from './command-context.ts';
import type { Execute } from './command-runner.ts';
import { withGlobalOptions, type GlobalOptions } from './global-options.ts';
import { movedGlobals } from './moved-globals.ts';
import { usageOf } from './usage-error.ts';

/**
 * @param add adds the family's commands
 * @returns the exit status
 * @throws what the command throws, and `usage`
 */
export async function runFamily(
  args: readonly string[],
  signal: AbortSignal,
  add: (program: Command, execute: Execute) => void,
): Promise<number> {
  let status = 0;
  const program = withGlobalOptions(new Command('sparsebak'));
  add(program, async (command, run) => {
    status = await run(new CommandContext(command.optsWithGlobals<GlobalOptions>(), signal));
  });
  try {
    await program.parseAsync(movedGlobals(args), { from: 'user' });
  } catch (caught) {
    // The core has another class of this name, and would not know it.
    if (!(caught instanceof CommanderError)) throw caught;
    if (caught.exitCode !== 0) throw usageOf(caught);
  }
  return status;
}
