// Completion for zsh: one call of _arguments for each command.

import { type DescribedCommand, type DescribedOption, type DescribedProgram, type Value } from './commands.ts';

/** @param engine the text of completion.zsh */
export function zshCompletion({ name, root, globals }: DescribedProgram, engine: string): string {
  const specs = globals.map((option) => `    ${optionSpec(option)}`);
  const functions = [
    `_PROGRAM_set_globals() {\n  globals=(\n${specs.join('\n')}\n  )\n}\n`,
    ...functionsOf(root, globals),
  ];
  return engine
    .replace('# FUNCTIONS\n', () => functions.join('\n'))
    .replaceAll('_PROGRAM', `_${name.replaceAll('-', '_')}`)
    .replaceAll('PROGRAM', name);
}

function functionsOf(command: DescribedCommand, globals: readonly DescribedOption[]): string[] {
  const own = command.options.filter(({ long }) => globals.every((each) => each.long !== long));
  const specs = own.map((option) => `    ${optionSpec(option)}`);
  const args = command.args.map(({ value, isRepeatable, usage }, at) => {
    const action = actionOf(value, usage.replaceAll(/[<>[\].]/g, ''));
    return `    ${quoted(`${isRepeatable ? '*' : at + 1}${action.replace('_names ', '_operands ')}`)}`;
  });
  const name = functionOf(command);
  if (command.commands.length === 0) {
    return [`${name}() {\n  _arguments -S \\\n${[...specs, ...args, '    "$globals[@]"'].join(' \\\n')}\n}\n`];
  }
  const list = command.commands.map(
    ({ path, summary }) => `    ${quoted(`${path.at(-1) ?? ''}:${summary.replaceAll(':', '\\:')}`)}`,
  );
  const cases = command.commands.map((each) => `      (${each.path.at(-1) ?? ''}) ${functionOf(each)} ;;`);
  const dispatch = [
    `${name}() {`,
    '  local context state state_descr line curcontext="$curcontext"',
    '  typeset -A opt_args',
    '  local -a commands=(',
    ...list,
    '  )',
    '  _arguments -C -S \\',
    ...[...specs, '    "$globals[@]"', "    '1: :->command'", "    '*:: :->rest'"].join(' \\\n').split('\n'),
    '  case $state in',
    '    (command) _describe -t commands command commands ;;',
    '    (rest)',
    '      case $line[1] in',
    ...cases.map((line) => `  ${line}`),
    '      esac',
    '      ;;',
    '  esac',
    '}',
    '',
  ];
  return [dispatch.join('\n'), ...command.commands.flatMap((each) => functionsOf(each, globals))];
}

function functionOf({ path }: DescribedCommand): string {
  return `_PROGRAM_${['', ...path].map((word) => `_${word.replaceAll('-', '_')}`).join('')}`;
}

function optionSpec({ short, long, value, placeholder, description, isRepeatable }: DescribedOption): string {
  const text = `[${escaped(description)}]`;
  const action = value === undefined ? '' : actionOf(value, (placeholder ?? '').replaceAll(/[<>[\]]/g, ''));
  const flags = [long, ...(short === undefined ? [] : [short])];
  const once = isRepeatable ? '*' : flags.length === 1 ? '' : `(${flags.join(' ')})`;
  return flags
    .map((flag) => quoted(`${once}${flag}${value !== undefined && flag === long ? '=' : ''}${text}${action}`))
    .join(' ');
}

function actionOf(value: Value, name: string): string {
  return `:${escaped(name)}:${action(value)}`;
}

function action(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'files':
      return '_files';
    case 'folders':
      return '_files -/';
    case 'commands':
      return ' _PROGRAM_help';
    case 'none':
      return '';
    case 'volumes':
    case 'sessions':
    case 'tags':
    case 'archives':
    case 'pools':
      return ` _PROGRAM_names ${value.kind}`;
  }
}

/** In a description a bracket would end it, and a colon the text of an argument. */
function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, (character) => `\\${character}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
