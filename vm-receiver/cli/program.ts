/**
 * The command line of `sparsebak-receiver`. A command's code is loaded when it runs, since each call over qrexec starts
 * a new process.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { isArchiveName, type ArchiveName } from '../../shared/archive/names.ts';
import { addHelpCommand } from '../../shared/cli/help-command.ts';
import { type SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { GRANTS, type Grant } from '../../shared/wire/grants.ts';
import { addKept } from './kept-options.ts';
import { LEVELS, type Level } from './level.ts';
import { RELEASE } from '../../shared/release.ts';
import { addMaintenance } from './maintenance-options.ts';
import { complain, describeError } from './output.ts';
import type { Settings } from './settings.ts';

interface GlobalOptions {
  readonly root?: string;
  readonly archive?: ArchiveName;
  readonly config?: string;
  readonly json?: true;
  readonly logLevel: Level;
}

/** Runs one command; returns the exit status, while output may still be pending. */
export async function run(args: readonly string[]): Promise<number> {
  let status = 0;
  const program = describeProgram(async (work) => {
    status = await work();
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return report(asSparsebakError(error));
  }
}

function report(error: SparsebakError): number {
  complain(describeError(error));
  return error.exitStatus;
}

type Runner = (work: () => Promise<number>) => Promise<void>;

/** The commands, with their options and help. */
export function describeProgram(runs: Runner): Command {
  const program = new Command('sparsebak-receiver')
    .description('Stores the archives that sparsebak sends from dom0. It never has a key.')
    .version(RELEASE)
    .option('--root <dir>', 'the folder that holds the archives; without --config no configuration is read')
    .option('--archive <name>', 'use only this archive', archiveName)
    .option(
      '--config <file>',
      'configuration file (default: the first of /rw/config/sparsebak/receiver.toml, /etc/sparsebak/receiver.toml)',
    )
    .option('--json', 'print one JSON document on standard output')
    .addOption(new Option('--log-level <level>', 'level of the log on standard error').choices(LEVELS).default('warn'))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text) => {
        complain(`${text.trimEnd().replace(/^error: /, '')} See "sparsebak-receiver --help".`);
      },
    })
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver list
  sparsebak-receiver check --archive laptop
  sparsebak-receiver serve --root /srv/backup       (what dom0 starts over ssh)

Fields of the configuration (TOML):
  root = "/mnt/backup"        the folder that holds the archives
  archives = ["laptop"]       archives that may be used (default: any)
  require_mount = true        refuse unless root is a mount point (default: false)
  min_free_bytes = 67108864   a send fails rather than leave less free (default: 64 MiB)
  min_free_inodes = 1000      the same for inodes (default: 1000)
  callers = ["dom0"]          qubes that may call (default: only dom0)
  min_keep = 1                number of a volume's newest sessions that are never pruned
  allow_delete = true         whether dom0 may delete volumes
  autoprune = "policy"        "policy": prune always; "space": only while the disk runs low
  low_space = "10%"           free space below which the disk runs low: a share or a size ("50GiB")
  scrub_every = "30d"         time in which scrub reads everything once
  kept_catalogues = 32        number of newest catalogues that are kept
  kept_days = 30              days whose last catalogue is kept, too, and how long replaced and removed slots are kept
  kept_size = "1GiB"          the most that kept catalogues may take up
  metrics_file = "/…"         written by scrub, prune and doctor, for Prometheus' node exporter
  [retention]                 what prune keeps: keep_last, keep_hourly, keep_daily, keep_weekly,
  keep_daily = 7              keep_monthly, keep_yearly = COUNT, keep_within = "30d"

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 partly done, 4 damage found,
5 refused or no backup disk, 6 locked.`,
    );
  const settings = () => settingsOf(program.opts<GlobalOptions>());

  program
    .command('serve')
    .description('serve one agent on standard input and output')
    .addOption(
      new Option('--grant <grant>', 'receive: read and send; retrieve: read; maintain: read and remove')
        .choices(GRANTS)
        .default('all'),
    )
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver serve --grant receive
  sparsebak-receiver serve --root /srv/backup --archive laptop`,
    )
    .action(({ grant }: { grant: Grant }) =>
      runs(async () => {
        const { serveCommand } = await import('./serve-command.ts');
        return await serveCommand(await settings(), grant, program.opts<GlobalOptions>().logLevel);
      }),
    );
  program
    .command('list')
    .description('show the volumes and sessions on the disk')
    .addHelpText('after', '\nExamples:\n  sparsebak-receiver list\n  sparsebak-receiver list --archive laptop --json')
    .action(() =>
      runs(async () => {
        const { listCommand } = await import('./list-command.ts');
        return await listCommand(await settings(), program.opts<GlobalOptions>().json ?? false);
      }),
    );

  program
    .command('check')
    .description('read every file and compare it with its checksum; exit status 4 if anything is damaged')
    .addHelpText('after', '\nExamples:\n  sparsebak-receiver check\n  sparsebak-receiver check --archive laptop --json')
    .action(() =>
      runs(async () => {
        const { checkCommand } = await import('./check-command.ts');
        return await checkCommand(await settings(), program.opts<GlobalOptions>().json ?? false);
      }),
    );
  program
    .command('doctor')
    .description('check the disk, the archives and what the receiver needs, and say what to do')
    .addHelpText('after', '\nExamples:\n  sparsebak-receiver doctor\n  sparsebak-receiver doctor --json')
    .action(() =>
      runs(async () => {
        const { doctorCommand } = await import('./doctor-command.ts');
        const found = await settings().catch((error: unknown) => asSparsebakError(error, 'config'));
        return await doctorCommand(found, program.opts<GlobalOptions>().json ?? false);
      }),
    );
  addMaintenance(program, runs, settings, () => program.opts<GlobalOptions>().json ?? false);
  addKept(program, runs, settings, () => program.opts<GlobalOptions>().json ?? false);
  addHelpCommand(program);
  return program;
}

async function settingsOf({ root, archive, config }: GlobalOptions): Promise<Settings> {
  const { loadSettings } = await import('./settings.ts');
  return loadSettings({ root, archive, config });
}

function archiveName(text: string): ArchiveName {
  if (!isArchiveName(text)) throw new InvalidArgumentError('Not an archive’s name.');
  return text;
}
