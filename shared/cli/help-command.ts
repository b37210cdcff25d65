/** `help`, `help COMMAND`: the same as `COMMAND --help`, because many users try it first. */
import type { Command } from 'commander';
import { SparsebakError } from '../errors.ts';

/** Replaces commander's own, which knows only one level and answers a mistyped command with the wrong help. */
export function addHelpCommand(program: Command): void {
  program.helpCommand(false);
  program
    .command('help')
    .argument('[command...]')
    .description('show help for the program or a command')
    .addHelpText('after', `\nExamples:\n  ${program.name()} help\n  ${program.name()} help list`)
    .action((names: string[]) => {
      found(program, names).outputHelp();
    });
}

/** @throws `usage` if there is no such command */
function found(program: Command, names: readonly string[]): Command {
  let command = program;
  for (const [at, name] of names.entries()) {
    const inner = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
    if (inner === undefined) {
      throw new SparsebakError('usage', `there is no command "${names.slice(0, at + 1).join(' ')}"`, {
        hint: `See "${program.name()} help".`,
      });
    }
    command = inner;
  }
  return command;
}
