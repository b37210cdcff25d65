/** How a command is run. */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';

/** Returns the command's exit status. */
export type Run = (context: CommandContext) => Promise<number>;

export type Execute = (command: Command, run: Run) => Promise<void>;
