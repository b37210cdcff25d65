/** The commands that maintain an archive: prune, tag, rename, delete and adopt. */
import type { Command } from 'commander';
import type { AdoptOptions } from './commands/adopt.ts';
import type { PruneOptions } from './commands/prune.ts';
import type { TagOptions } from './commands/tag.ts';
import { collect, count, within } from './option-values.ts';
import type { Execute } from './command-runner.ts';

export function addLifeCommands(program: Command, execute: Execute): void {
  addPrune(program, execute);
  program
    .command('tag')
    .argument('<volume>')
    .description('add tags to a session, or remove them')
    .option('--session <session>', 'which session, as "list" shows it (required)')
    .option('--add <tag>', 'a tag to add (repeatable); "protected" and "protected:…" prevent pruning', collect, [])
    .option('--remove <tag>', 'a tag to remove (repeatable)', collect, [])
    .addHelpText('after', '\nExample:\n  sparsebak tag work/private.img --session S_20261123-020000 --add protected')
    .action(async (volume: string, options: TagOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/tag.ts')).tag(context, volume, options));
    });
  program
    .command('rename')
    .argument('<old>')
    .argument('<new>')
    .description('rename a volume in the archive')
    .addHelpText('after', '\nExample:\n  sparsebak rename work/private.img office/private.img')
    .action(async (from: string, to: string, _options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/rename.ts')).rename(context, from, to));
    });
  program
    .command('delete')
    .argument('<volume>')
    .description('delete a volume from the archive, with all its sessions')
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
    .option('--accept-rollback', 'accept an archive that lost sessions, or that another computer wrote to')
    .addHelpText('after', '\nExample, on a new computer:\n  sparsebak key unlock --recovery\n  sparsebak adopt')
    .action(async (options: AdoptOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/adopt.ts')).adopt(context, options));
    });
}

function addPrune(program: Command, execute: Execute): void {
  program
    .command('prune')
    .argument('[volume...]')
    .description('remove sessions, by name or by retention policy')
    .option('--session <session>', 'one session, or FIRST..LAST (both included)')
    .option('--keep-last <count>', 'keep this many of the newest sessions', count)
    .option('--keep-hourly <count>', 'keep the newest of each hour, for this many hours that have a session', count)
    .option('--keep-daily <count>', 'the same for days', count)
    .option('--keep-weekly <count>', 'the same for weeks', count)
    .option('--keep-monthly <count>', 'the same for months', count)
    .option('--keep-yearly <count>', 'the same for years', count)
    .option('--keep-tag <tag>', 'keep sessions with this tag (repeatable)', collect, [])
    .option('--keep-within <duration>', 'keep all sessions of this time before the newest one: 36h, 30d, 8w', within)
    .option('--dry-run', 'only show what would be removed, and the space it would free')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nWithout --session and --keep-… it applies [retention] of the configuration.\n\nExamples:\n  sparsebak ' +
        'prune --keep-daily 7 --keep-weekly 4 --keep-tag release --dry-run\n  sparsebak prune work/private.img ' +
        '--session S_20261101-020000..S_20261107-020000',
    )
    .action(async (names: string[], options: PruneOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/prune.ts')).prune(context, names, options));
    });
}
