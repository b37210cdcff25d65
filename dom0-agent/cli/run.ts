/** How a command of the command line is carried out. */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';

/** Gives the command's exit status. */
export type Run = (context: CommandContext) => Promise<number>;

export type Execute = (command: Command, run: Run) => Promise<void>;
