// Completion for bash. Tables of the commands, and a fixed part (completion.bash) that reads the line.

import { allCommands, type DescribedCommand, type DescribedProgram, type Value } from './commands.ts';

/** @param engine the text of completion.bash */
export function bashCompletion({ name, root, globals }: DescribedProgram, engine: string): string {
  const commands = allCommands(root);
  const tables = [
    table(
      'commands',
      commands.map((command) => [keyOf(command), command.commands.map(({ path }) => path.at(-1) ?? '')]),
    ),
    table(
      'options',
      commands.map((command) => [keyOf(command), optionsOf(command, globals)]),
    ),
    table(
      'value',
      commands.flatMap((command) => valuesOf(command, globals)),
    ),
    table(
      'operand',
      commands.flatMap((command) => operandsOf(command)),
    ),
  ];
  return engine
    .replace('# TABLES\n', () => tables.join('\n'))
    .replaceAll('_PROGRAM', `_${name.replaceAll('-', '_')}`)
    .replaceAll('PROGRAM', name);
}

const keyOf = ({ path }: DescribedCommand) => path.join(' ');

type Row = readonly [key: string, words: readonly string[]];

/** A function that sets REPLY to the words of a key. */
function table(name: string, rows: readonly Row[]): string {
  const lines = rows
    .filter(([, words]) => words.length > 0)
    .map(([key, words]) => `    '${key}') REPLY='${words.join(' ')}' ;;`);
  return `_PROGRAM_${name}() {\n  REPLY=\n  case $1 in\n${lines.join('\n')}\n  esac\n}\n`;
}

function optionsOf({ options }: DescribedCommand, globals: DescribedProgram['globals']): string[] {
  return [...new Set([...options, ...globals].map(({ long }) => long))];
}

function valuesOf(command: DescribedCommand, globals: DescribedProgram['globals']): Row[] {
  const found = [
    ...command.options,
    ...globals.filter(({ long }) => command.options.every((own) => own.long !== long)),
  ];
  return found.flatMap(({ short, long, value }) => {
    if (value === undefined) return [];
    return [long, ...(short === undefined ? [] : [short])].map((flag): Row => [
      `${keyOf(command)} ${flag}`,
      kindOf(value),
    ]);
  });
}

/** `restore 0` for the first argument, `send *` for the others. */
function operandsOf(command: DescribedCommand): Row[] {
  return command.args.map(({ value, isRepeatable }, at): Row => [
    `${keyOf(command)} ${isRepeatable ? '*' : at}`,
    value.kind === 'none' ? [] : kindOf(value),
  ]);
}

function kindOf(value: Value): string[] {
  return value.kind === 'words' ? ['words', ...value.words] : [value.kind];
}
