/** The commands about the life of an archive: what stays, what goes, what it is called, and who writes to it. */
import type { Command } from 'commander';
import type { AdoptOptions } from './commands/adopt.ts';
import type { PruneOptions } from './commands/prune.ts';
import type { TagOptions } from './commands/tag.ts';
import { collect, count, within } from './option-values.ts';
import type { Execute } from './run.ts';

export function addLifeCommands(program: Command, execute: Execute): void {
  addPrune(program, execute);
  program
    .command('tag')
    .argument('<volume>')
    .description('tag a session, or take tags off')
    .option('--session <session>', 'which session, as "list" shows it')
    .option(
      '--add <tag>',
      'a tag to add (may be repeated); "protected" and "protected:…" keep it from being pruned',
      collect,
      [],
    )
    .option('--remove <tag>', 'a tag to take off (may be repeated)', collect, [])
    .addHelpText('after', '\nExample:\n  sparsebak tag work/private.img --session S_20261123-020000 --add protected')
    .action(async (volume: string, options: TagOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/tag.ts')).tag(context, volume, options));
    });
  program
    .command('rename')
    .argument('<old>')
    .argument('<new>')
    .description("change a volume's name in the archive")
    .addHelpText('after', '\nExample:\n  sparsebak rename work/private.img office/private.img')
    .action(async (from: string, to: string, _options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/rename.ts')).rename(context, from, to));
    });
  program
    .command('delete')
    .argument('<volume>')
    .description('take a volume out of the archive, with all its sessions')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  sparsebak delete old/private.img')
    .action(async (volume: string, options: { yes?: boolean }, command: Command) => {
      await execute(command, async (context) =>
        (await import('./commands/delete.ts')).deleteVolume(context, volume, options),
      );
    });
  program
    .command('adopt')
    .description('make this computer the one that writes to the archive')
    .option('--yes', 'do not ask')
    .option('--accept-rollback', 'take the archive as it is, though newer sessions were there once')
    .addHelpText('after', '\nExample, on a new computer:\n  sparsebak key unlock --recovery\n  sparsebak adopt')
    .action(async (options: AdoptOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/adopt.ts')).adopt(context, options));
    });
}

function addPrune(program: Command, execute: Execute): void {
  program
    .command('prune')
    .argument('[volume...]')
    .description('take sessions away, by name or by what a policy does not keep')
    .option('--session <session>', 'one session, or FIRST..LAST: all between them, both included')
    .option('--keep-last <count>', 'keep so many of the newest', count)
    .option('--keep-hourly <count>', 'the newest of each hour, of so many hours that have any', count)
    .option('--keep-daily <count>', 'likewise of each day', count)
    .option('--keep-weekly <count>', 'of each week', count)
    .option('--keep-monthly <count>', 'of each month', count)
    .option('--keep-yearly <count>', 'of each year', count)
    .option('--keep-tag <tag>', 'those with this tag (may be repeated)', collect, [])
    .option('--keep-within <duration>', 'all of that time up to the newest: 36h, 30d, 8w', within)
    .option('--dry-run', 'only show what would go, and what would become free')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nWithout --session and --keep-… it does what [retention] in the configuration says.\n\nExamples:\n  sparsebak prune --keep-daily 7 --keep-weekly 4 --keep-tag release --dry-run\n  sparsebak prune work/private.img --session S_20261101-020000..S_20261107-020000',
    )
    .action(async (names: string[], options: PruneOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/prune.ts')).prune(context, names, options));
    });
}
