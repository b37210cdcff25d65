/** `config check` and `config example`. */
import type { Command } from 'commander';
import type { Execute } from '../../cli/command-runner.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { misplacedFolder } from '../../capture/misplaced-folder.ts';
import { EXAMPLE } from './example.ts';

export function addConfig(program: Command, execute: Execute): void {
  const config = program
    .command('config')
    .description('check the configuration, or show a complete example')
    .addHelpText('after', '\nExamples:\n  sparsebak config check\n  sparsebak config example > sparsebak.toml')
    .helpCommand(false);
  config
    .command('check')
    .description('check the configuration, without looking for volumes or asking a receiver')
    .addHelpText('after', '\nExample:\n  sparsebak config check --config new.toml')
    .action(async (_options, command: Command) => {
      await execute(command, check);
    });
  config
    .command('example')
    .description('show a configuration with every field')
    .addHelpText('after', '\nExample:\n  sparsebak config example > /etc/sparsebak/sparsebak.toml')
    .action(async (_options, command: Command) => {
      await execute(command, (context) => {
        context.conclude({ example: EXAMPLE }, () => EXAMPLE.trimEnd());
        return Promise.resolve(0);
      });
    });
}

/** @throws `config`, naming each wrong field */
async function check(context: CommandContext): Promise<number> {
  const { config } = context;
  const misplaced = await misplacedFolder(config);
  if (misplaced !== undefined) throw misplaced;
  const document = {
    file: config.file,
    archives: config.archives.map(({ name, destination }) => ({ name, destination })),
    pools: config.pools.map(({ name, type, volumes, exclude }) => ({ name, type, volumes, exclude })),
  };
  context.conclude(document, () =>
    [
      `${config.file} is valid.`,
      ...document.archives.map(({ name }) => `  archive ${name}`),
      ...document.pools.map(
        ({ name, type, volumes }) => `  pool ${name} (${type}): ${volumes.join(', ') || 'no volumes'}`,
      ),
      ...(document.archives.length === 0 ? ['  No archive: set destination and archive.'] : []),
      'Which volumes that selects: sparsebak doctor --offline',
    ].join('\n'),
  );
  return 0;
}
