/** The command line of `qube`. */
import type { Command } from 'commander';
import type { Execute } from '../../cli/command-runner.ts';
import { collect } from '../../cli/option-values.ts';
import { refusalError } from '../../qubes/qubes-host.ts';
import { QubesdRefusal } from '../../qubes/socket.ts';
import { adoptQube, type AdoptOptions } from './adopt.ts';
import { diff } from './diff.ts';
import { list } from './list.ts';
import { restoreQubes, type RestoreQubesOptions } from './restore/command.ts';
import { show, type ShowOptions } from './show.ts';

const SESSION = 'as it was at this session; default: the newest';

export function addQube(program: Command, run: Execute): void {
  const execute: Execute = async (command, action) => {
    await run(command, (context) => action(context).catch(inWords));
  };
  const qube = program
    .command('qube')
    .helpCommand(false)
    .description('show and restore whole qubes: volumes and settings together')
    .addHelpText('after', '\nExamples:\n  sparsebak qube list\n  sparsebak qube restore work --as work-old');
  qube
    .command('list')
    .description('show the qubes in the archive, and which of them are here')
    .addHelpText('after', '\nExample:\n  sparsebak qube list --json')
    .action(async (_options, command: Command) => {
      await execute(command, list);
    });
  qube
    .command('show')
    .argument('<name>')
    .description('show the settings of a qube, as they were saved')
    .option('--session <session>', SESSION)
    .option('--all', 'also show the properties that have their default value')
    .addHelpText('after', '\nExample:\n  sparsebak qube show work --session S_20261123-020000')
    .action(async (name: string, options: ShowOptions, command: Command) => {
      await execute(command, (context) => show(context, name, options));
    });
  qube
    .command('diff')
    .argument('<name>')
    .description('show how the settings of a qube differ now from those that were saved')
    .option('--session <session>', SESSION)
    .addHelpText('after', '\nExample:\n  sparsebak qube diff work')
    .action(async (name: string, options: { readonly session?: string }, command: Command) => {
      await execute(command, (context) => diff(context, name, options));
    });
  addRestore(qube, execute);
  qube
    .command('adopt')
    .argument('<name>')
    .description('join the history of volumes that were saved one by one to their qube')
    .option(
      '--volume <volume=archived>',
      "which volume of the archive is this one of the qube's (repeatable)",
      collect,
      [],
    )
    .option('--dry-run', 'only show what would be adopted')
    .addHelpText(
      'after',
      '\nExamples:\n  sparsebak qube adopt work\n  sparsebak qube adopt work --volume private=vm-work-private',
    )
    .action(async (name: string, options: AdoptOptions, command: Command) => {
      await execute(command, (context) => adoptQube(context, name, options));
    });
}

function addRestore(qube: Command, execute: Execute): void {
  qube
    .command('restore')
    .argument('[name...]')
    .description('restore qubes: create them, or put them back in their place')
    .option('--as <name>', 'create the qube under this name')
    .option('--session <session>', SESSION)
    .option('--pool <pool>', 'create the volumes in this pool of Qubes')
    .option('--map-template <old=new>', 'use another template than the saved one (repeatable)', collect, [])
    .option('--map-netvm <old=new>', 'use another net qube than the saved one (repeatable)', collect, [])
    .option('--replace', 'put the qube back in its place; what it replaces is kept, see --undo')
    .option('--undo', 'put back what the last --replace of this qube replaced')
    .option('--all', 'restore all qubes of the archive that are not here')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nExamples:\n  sparsebak qube restore work --as work-old\n  sparsebak qube restore work --replace\n  ' +
        'sparsebak qube restore work --undo\n  sparsebak qube restore --all --dry-run',
    )
    .action(async (names: string[], options: RestoreQubesOptions, command: Command) => {
      await execute(command, (context) => restoreQubes(context, names, options));
    });
}

/** @throws a refusal that no step expected, with the call and the reason; all else as it is */
function inWords(error: unknown): never {
  throw error instanceof QubesdRefusal ? refusalError(error) : error;
}
