// Completion for fish: one rule for each option and argument, on conditions that completion.fish defines.

import {
  allCommands,
  type DescribedCommand,
  type DescribedOption,
  type DescribedProgram,
  type Value,
} from './commands.ts';

/** @param engine the text of completion.fish */
export function fishCompletion({ name, root, globals }: DescribedProgram, engine: string): string {
  const commands = allCommands(root);
  const withValue = commands.flatMap(({ options }) => options.filter(({ value }) => value !== undefined));
  const flags = [...new Set(withValue.flatMap(({ short, long }) => [long, ...(short === undefined ? [] : [short])]))];
  const all = commands.map(({ path }) => quoted(path.join(' '))).join(' ');
  const head = engine.replaceAll('WITH_VALUE', flags.join(' ')).replaceAll('COMMANDS', all);
  const rules = [
    `complete -c ${name} -f`,
    ...globals.map((option) => optionRule('', option)),
    ...commands.flatMap((command) => commandRules(command, globals)),
  ];
  return `${head}${rules.join('\n')}\n`
    .replaceAll('_PROGRAM', `_${name.replaceAll('-', '_')}`)
    .replaceAll('PROGRAM', name);
}

function commandRules(command: DescribedCommand, globals: readonly DescribedOption[]): string[] {
  const at = `__PROGRAM_at ${quoted(command.path.join(' '))}`;
  const own = command.options.filter(({ long }) => globals.every((each) => each.long !== long));
  return [
    ...command.commands.map(
      ({ path, summary }) =>
        `complete -c PROGRAM -n ${quoted(`${at} 0`)} -a ${path.at(-1) ?? ''} -d ${quoted(summary)}`,
    ),
    ...own.map((option) => optionRule(` -n ${quoted(at)}`, option)),
    ...command.args.flatMap(({ value, isRepeatable }, index) => {
      const offered = candidates(value);
      const where = isRepeatable ? at : `${at} ${index}`;
      return offered === '' ? [] : [`complete -c PROGRAM -n ${quoted(where)}${offered.replace('names ', 'operands ')}`];
    }),
  ];
}

function optionRule(condition: string, { short, long, value, description }: DescribedOption): string {
  const flags = `${short === undefined ? '' : ` -s ${short.slice(1)}`} -l ${long.slice(2)}`;
  const takes = value === undefined ? '' : value.kind === 'files' || value.kind === 'folders' ? ' -r -F' : ' -x';
  const offered = value === undefined ? '' : candidates(value);
  return `complete -c PROGRAM${condition}${flags}${takes}${offered} -d ${quoted(description)}`;
}

function candidates(value: Value): string {
  switch (value.kind) {
    case 'words':
      return ` -a ${quoted(value.words.join(' '))}`;
    case 'commands':
      return ` -a '(__PROGRAM_commands)'`;
    case 'volumes':
    case 'sessions':
    case 'tags':
    case 'archives':
    case 'pools':
      return `${value.kind === 'sessions' ? ' -k' : ''} -a '(__PROGRAM_names ${value.kind})'`;
    case 'none':
    case 'files':
    case 'folders':
      return '';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
