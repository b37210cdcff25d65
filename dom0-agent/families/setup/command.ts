/** The command line of `setup`. */
import type { Command } from 'commander';
import type { Execute } from '../../cli/command-runner.ts';
import { collect } from '../../cli/option-values.ts';
import { setup, type SetupOptions } from './setup.ts';

export function addSetup(program: Command, execute: Execute): void {
  program
    .command('setup')
    .description('first steps: configuration, archive, first send, proven restore, timers')
    .option('--destination <destination>', '"local:/folder", "ssh://user@host/folder" or "qubes://VM"')
    .option('--pool <pool>', '"reflink:/folder", "file:/folder" or "lvm-thin:VG/POOL" (repeatable)', collect, [])
    .option('--volumes <glob>', 'which volumes of the pools (repeatable)', collect, [])
    .option('--exclude <glob>', 'which of them not (repeatable)', collect, [])
    .option(
      '--qubes <pattern>',
      'in dom0 of Qubes: which qubes (repeatable; default: @include_in_backups)',
      collect,
      [],
    )
    .option('--dom0-home', "in dom0 of Qubes: also dom0's home directory")
    .option('--passphrase-file <file>', 'for init: read the passphrase from a file')
    .option('--passphrase-command <command>', 'for init: use the output of this shell command as the passphrase')
    .option('--recovery-key-file <file>', 'for init: write the recovery key to this new file instead of showing it')
    .option('--scratch <folder>', 'where the restored volume is written and removed again (default: /var/tmp)')
    .option('--timers <answer>', 'yes: turn the timers on; no: leave them')
    .option('--dry-run', 'only show the configuration')
    .option('--yes', 'ask nothing; what is not given must have a default')
    .addHelpText(
      'after',
      `
What was done before is not done again: after an interruption, start it once more.

Examples:
  sparsebak setup
  sparsebak setup --yes --destination qubes://vault --qubes 'work*' --qubes personal --dom0-home \\
    --passphrase-file /root/backup-passphrase --timers yes
  sparsebak setup --yes --destination local:/srv/backup --pool reflink:/var/lib/libvirt/images \\
    --passphrase-file /root/backup-passphrase --timers yes`,
    )
    .action(async (options: SetupOptions, command: Command) => {
      await execute(command, (context) => setup(context, options));
    });
}
