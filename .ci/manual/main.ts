// Everything that the build makes from the commands: man pages, and completion for three shells.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { FAMILIES } from '../../dom0-agent/cli/families.ts';
import { describeProgram as describeAgent } from '../../dom0-agent/cli/program.ts';
import { RELEASE } from '../../shared/release.ts';
import { describeProgram as describeReceiver } from '../../vm-receiver/cli/program.ts';
import { bashCompletion } from './bash.ts';
import { describeCommands, type DescribedProgram } from './commands.ts';
import { fishCompletion } from './fish.ts';
import { manPages } from './man-pages.ts';
import { zshCompletion } from './zsh.ts';

/** What a command with a file of its own adds to a program. */
export type AddCommand = (program: Command, execute: () => Promise<void>) => void;

const FLOATING = {
  sparsebak: ['--config', '--archive', '--json', '--log-level', '--lock-wait'],
  'sparsebak-receiver': ['--root', '--archive', '--config', '--json', '--log-level'],
};

const nothing = () => Promise.resolve();

/**
 * Files below dist/, by name.
 * @param root of the checkout
 * @param families the commands of the agent that have a file of their own
 */
export function manualFiles(root: string, families: readonly AddCommand[]): Map<string, string> {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8');
  const engine = (shell: string) => readFileSync(join(root, `.ci/manual/completion.${shell}`), 'utf8');
  const agent = withFamilies(describeAgent(nothing), families);
  const programs: DescribedProgram[] = [
    describeCommands(agent, FLOATING.sparsebak),
    describeCommands(describeReceiver(nothing), FLOATING['sparsebak-receiver']),
  ];
  const files = programs.flatMap((program): (readonly [string, string])[] => [
    ...manPages(program, { release: RELEASE, page }).map(({ file, text }) => [`man/${file}`, text] as const),
    [`completion/bash/${program.name}`, bashCompletion(program, engine('bash'))],
    [`completion/zsh/_${program.name}`, zshCompletion(program, engine('zsh'))],
    [`completion/fish/${program.name}.fish`, fishCompletion(program, engine('fish'))],
  ]);
  return new Map(files);
}

/** The core's program, in which such a command takes the place of the core's line for it. */
function withFamilies(agent: Command, families: readonly AddCommand[]): Command {
  const added = new Command(agent.name());
  for (const addCommand of families) addCommand(added, nothing);
  const names = added.commands.map((command) => command.name());
  const own = agent.commands.filter((command) => !Object.hasOwn(FAMILIES, command.name()));
  const all = [...own.filter((command) => !names.includes(command.name())), ...added.commands];
  (agent as { commands: readonly Command[] }).commands = all;
  return agent;
}
