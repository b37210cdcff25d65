// The commands of a program, as plain data: what its man pages and its completion are made from.

import type { EventEmitter } from 'node:events';
import type { Argument, Command, Option } from 'commander';

/** What a shell completes. `words` are fixed, the names come from `sparsebak complete`. */
export type Value =
  | { readonly kind: 'none' | 'files' | 'folders' | 'commands' }
  | { readonly kind: 'volumes' | 'sessions' | 'tags' | 'archives' | 'pools' }
  | { readonly kind: 'words'; readonly words: readonly string[] };

export interface DescribedOption {
  /** `--tag`. */
  readonly long: string;
  /** `-f`. */
  readonly short: string | undefined;
  /** `<tag>`; undefined for an option without a value. */
  readonly placeholder: string | undefined;
  readonly value: Value | undefined;
  readonly description: string;
  readonly isRepeatable: boolean;
}

export interface DescribedArgument {
  /** `<volume>`, `[volume...]`. */
  readonly usage: string;
  readonly value: Value;
  readonly isRepeatable: boolean;
}

export interface DescribedCommand {
  /** `['key', 'add']`; empty for the program itself. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly args: readonly DescribedArgument[];
  readonly options: readonly DescribedOption[];
  readonly commands: readonly DescribedCommand[];
  /** All that the help says after the options. */
  readonly afterOptions: string;
  /** Command lines, without their indentation. */
  readonly examples: readonly string[];
}

export interface DescribedProgram {
  /** `sparsebak`. */
  readonly name: string;
  readonly root: DescribedCommand;
  /** Global options that may also follow the command. */
  readonly globals: readonly DescribedOption[];
}

const HELP: DescribedOption = {
  ...{ long: '--help', short: '-h', placeholder: undefined, value: undefined, isRepeatable: false },
  description: 'show help',
};

/** @param floating the global options that may also follow the command */
export function describeCommands(program: Command, floating: readonly string[]): DescribedProgram {
  const name = program.name();
  const root = described(program, [], name);
  return { name, root, globals: root.options.filter(({ long }) => floating.includes(long)) };
}

/** All commands, the program's own first. */
export function allCommands(command: DescribedCommand): DescribedCommand[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function described(command: Command, path: readonly string[], program: string): DescribedCommand {
  const { afterOptions, examples } = afterHelp(command, program);
  const options = command.options.filter(({ hidden }) => !hidden).map((option) => describeOption(option, program));
  return {
    path,
    summary: command.description(),
    args: command.registeredArguments.map((argument) => describeArgument(argument, program)),
    options: [...options, HELP],
    commands: command.commands.map((each) => described(each, [...path, each.name()], program)),
    afterOptions,
    examples,
  };
}

function describeOption(option: Option, program: string): DescribedOption {
  const long = option.long ?? '';
  const placeholder = /[<[].*$/.exec(option.flags)?.[0];
  return {
    long,
    short: option.short,
    placeholder,
    value: placeholder === undefined ? undefined : valueOf(long, placeholder, option.argChoices, program),
    description: option.description,
    isRepeatable: option.description.includes('(repeatable)') || option.variadic,
  };
}

function describeArgument(argument: Argument, program: string): DescribedArgument {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return {
    usage: argument.required ? `<${name}>` : `[${name}]`,
    value: valueOf('', argument.name(), argument.argChoices, program),
    isRepeatable: argument.variadic,
  };
}

/** By option, where the name of the value does not tell. */
const BY_OPTION: Readonly<Record<string, Value>> = {
  '--log-level': { kind: 'words', words: ['silent', 'error', 'warn', 'info', 'debug'] },
  '--archive': { kind: 'archives' },
  '--pool': { kind: 'pools' },
};

/** By the name of the value. */
const BY_NAME: Readonly<Record<string, Value>> = {
  file: { kind: 'files' },
  path: { kind: 'files' },
  dir: { kind: 'folders' },
  command: { kind: 'commands' },
  volume: { kind: 'volumes' },
  old: { kind: 'volumes' },
  session: { kind: 'sessions' },
  tag: { kind: 'tags' },
};

function valueOf(option: string, placeholder: string, words: readonly string[] | undefined, program: string): Value {
  if (words !== undefined) return { kind: 'words', words };
  const name = placeholder.replaceAll(/[^a-z]/g, '');
  const value = BY_OPTION[option] ?? BY_NAME[name] ?? { kind: 'none' };
  // The receiver has no records to complete names from, and --passphrase-command is no command of the program.
  if (option !== '' && value.kind === 'commands') return { kind: 'none' };
  const isName = ['volumes', 'sessions', 'tags', 'archives', 'pools'].includes(value.kind);
  return isName && program !== 'sparsebak' ? { kind: 'none' } : value;
}

/** @throws if the help has no example */
function afterHelp(command: Command, program: string): Pick<DescribedCommand, 'afterOptions' | 'examples'> {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  // The types of commander leave out that a command is an emitter; addHelpText listens to this event.
  (command as unknown as EventEmitter).emit('afterHelp', { error: false, command, write });
  const lines = text.split('\n').filter((line) => line.startsWith(`  ${program}`));
  const examples = lines.map((line) => line.trim());
  if (examples.length === 0) throw new Error(`the help of "${program} ${command.name()}" has no example`);
  return { afterOptions: text, examples };
}
