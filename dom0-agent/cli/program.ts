/**
 * The command line: commands, options and their help. Each command's code is loaded when it is used, to keep the start
 * of every command short.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_CHUNK_SIZE } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { addHelpCommand } from '../../shared/cli/help-command.ts';
import { RELEASE } from '../../shared/release.ts';
import { isRecorded } from '../runs/recorded-commands.ts';
import { MAC_NAMES } from '../content/mac-names.ts';
import type { InitOptions } from './commands/init.ts';
import type { UnlockOptions } from './commands/key-unlock.ts';
import type { RestoreCommandOptions } from './commands/restore.ts';
import type { SendCommandOptions } from './commands/send.ts';
import type { VerifyOptions } from './commands/verify.ts';
import { addLifeCommands } from './maintenance-commands.ts';
import { FAMILIES, isFamily, loadFamily, refuseMissingFamily } from './families.ts';
import { withGlobalOptions, type GlobalOptions } from './global-options.ts';
import { movedGlobals, operandOf } from './moved-globals.ts';
import { collect, rate } from './option-values.ts';
import type { Execute } from './command-runner.ts';
import type { KeyOptions } from './slot-secrets.ts';

const EXAMPLE_CONFIG = `
Example of a configuration (/etc/sparsebak/sparsebak.toml):

  destination = "local:/srv/backup"      # or "ssh://host/srv/backup"
  archive     = "laptop"
  [pool.main]
  type    = "reflink"                    # a folder on Btrfs or XFS; "file" on any other file system
  path    = "/var/lib/qubes/appvms"
  volumes = ["*/private.img"]

Examples, in the order of first use:

  sparsebak init                         creates the archive; asks for a passphrase
  sparsebak send --full                  sends all volumes for the first time
  sparsebak                              records what changed; run it several times an hour
  sparsebak send                         sends what changed
  sparsebak restore work/private.img --to /tmp/private.img

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 some volumes failed or were skipped,
4 archive damaged or not the expected one, 5 receiver unreachable or refused, 6 locked, 130 interrupted.`;

/**
 * Runs one command line.
 * @param args without the program's name
 * @returns the exit status
 * @throws what the command throws, and commander's own errors (usage, help)
 */
export async function runProgram(args: readonly string[], signal: AbortSignal): Promise<number> {
  let status = 0;
  const program = describeProgram(async (command, run) => {
    const { CommandContext } = await import('./command-context.ts');
    const context = new CommandContext(command.optsWithGlobals<GlobalOptions>(), signal);
    const name = command !== program ? command.name() : program.opts<{ send?: boolean }>().send ? 'send' : 'monitor';
    if (!isRecorded(name) || command.opts<{ dryRun?: boolean }>().dryRun === true) {
      status = await run(context);
      return;
    }
    const { recordedRun } = await import('./recorded-run.ts');
    status = await recordedRun(context, name, run);
  });
  const moved = movedGlobals(args);
  const command = operandOf(moved);
  if (command !== undefined && (isFamily(command) || !program.commands.some((each) => each.name() === command))) {
    const family = await loadFamily(command);
    if (family !== undefined) return await family.run(args, signal);
  }
  const [, of = ''] = command === 'help' ? moved.slice(moved.indexOf('help')) : [];
  const family = isFamily(of) ? await loadFamily(of) : undefined;
  if (family !== undefined) return await family.run([of, '--help'], signal);
  await program.parseAsync(moved, { from: 'user' });
  return status;
}

/** The commands of the core, with their options and help. */
export function describeProgram(run: Execute): Command {
  const program = withGlobalOptions(new Command('sparsebak'))
    .description('Incremental backup of disk images: reads and sends only what changed.')
    .version(RELEASE)
    .usage('[options] [command]')
    .addOption(new Option('-s, --send', 'without a command: the same as send'))
    .addOption(new Option('-f, --full', 'with -s: also send new volumes'))
    .addHelpText('after', EXAMPLE_CONFIG);
  addCommands(program, async (command, work) => {
    const { send, full } = program.opts<{ send?: boolean; full?: boolean }>();
    if (send === true || full === true) {
      throw new SparsebakError('usage', `${send === true ? '-s' : '-f'} cannot be combined with a command`, {
        hint: 'Use "sparsebak -s -f", or "sparsebak send --full".',
      });
    }
    await run(command, work);
  });
  // No command: the -s and -f of earlier sparsebak, or a monitor run. An unknown command ends up here as an argument.
  program.allowExcessArguments().action(async () => {
    const [unknown] = program.args;
    if (unknown !== undefined) {
      throw new SparsebakError('usage', `there is no command "${unknown}"`, { hint: 'See "sparsebak --help".' });
    }
    const { send, full } = program.opts<{ send?: boolean; full?: boolean }>();
    if (full === true && send !== true) {
      throw new SparsebakError('usage', '-f alone does nothing', {
        hint: 'Use "sparsebak -s -f", or "sparsebak send --full".',
      });
    }
    await run(program, async (context) => {
      if (send !== true) return (await import('./commands/monitor.ts')).monitor(context, []);
      return (await import('./commands/send.ts')).send(context, [], { full: full === true });
    });
  });
  return program;
}

function addCommands(program: Command, execute: Execute): void {
  program
    .command('init')
    .description('create the archive, its key and its key slots')
    .addOption(
      new Option('--encryption <mode>', 'off: a plain archive, which a shell can restore')
        .choices(['on', 'off'])
        .default('on'),
    )
    .option('--compression <codec>', 'zstd[:1-19], gzip[:1-9] or none (default: zstd:1; gzip:1 without encryption)')
    .addOption(
      new Option('--chunk-size <size>', '64K to 4M, a power of two')
        .argParser(size)
        .default(DEFAULT_CHUNK_SIZE, '256K'),
    )
    .addOption(
      new Option('--dedup <mode>', 'on: the receiver stores equal chunks once, and can see which are equal')
        .choices(['on', 'off'])
        .default('off'),
    )
    .addOption(
      new Option('--identity <function>', 'the MAC that identifies chunks; auto: the faster one on this processor')
        .choices(['auto', ...MAC_NAMES])
        .default('auto'),
    )
    .option('--passphrase-file <file>', 'read the passphrase from a file (line ends at the end are dropped)')
    .option('--passphrase-command <command>', 'run this shell command and use its output as the passphrase')
    .option('--recovery-key-file <file>', 'write the recovery key to this new file instead of showing it')
    .addHelpText('after', '\nExample:\n  sparsebak init --passphrase-file /root/backup-passphrase')
    .action(async (options: InitOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/init.ts')).init(context, options));
    });
  program
    .command('monitor')
    .argument('[volume...]')
    .description('record what changed since the last run; send nothing (the default command)')
    .addHelpText('after', '\nExample:\n  sparsebak monitor work/private.img')
    .action(async (names: string[], _options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/monitor.ts')).monitor(context, names));
    });
  program
    .command('send')
    .argument('[volume...]')
    .description('send what changed since the last session')
    .option('-f, --full', 'also send volumes that the archive does not have yet')
    .option('--tag <tag>', 'tag the new sessions (repeatable)', collect, [])
    .option('--dry-run', 'only show what would be read')
    .option('--autoprune', 'also prune, by [retention] in the configuration')
    .option('--yes', 'with --autoprune: allow removing more than half of a volume’s sessions')
    .option('--accept-rollback', 'accept an older archive, after you restored its disk from a copy')
    .option('--limit-rate <size>', 'read at most this much of the volumes a second, such as 50MiB', rate)
    .option('--accept-clock', 'send even if the clock is past the year 2100')
    .addHelpText(
      'after',
      '\nExamples:\n  sparsebak send --full\n  sparsebak send work/private.img --tag before-upgrade',
    )
    .action(async (names: string[], options: SendCommandOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/send.ts')).send(context, names, options));
    });
  program
    .command('list')
    .argument('[volume]')
    .description('show volumes and their sessions')
    .addHelpText('after', '\nExample:\n  sparsebak list --json')
    .action(async (name: string | undefined, _options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/list.ts')).list(context, name));
    });
  program
    .command('status')
    .argument('[volume...]')
    .description('show where each volume stands, without asking the receiver')
    .addHelpText('after', '\nExamples:\n  sparsebak status\n  sparsebak status --json work/private.img')
    .action(async (names: string[], _options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/status.ts')).status(context, names));
    });
  program
    .command('restore')
    .argument('<volume>')
    .description('write a volume as it was at a session')
    .option('--to <path>', 'write to a new sparse file; with --force to an existing file or device')
    .option('--as <name>', 'write to a new volume in the pool')
    .option('--replace', 'replace the volume; the old one is kept under another name')
    .option('--pool <name>', 'with --as or --replace: the pool (default: the only one, or the one that has the volume)')
    .option('--session <session>', 'which session (default: the newest)')
    .option('--force', 'with --to: replace an existing target')
    .option('--unauthenticated', 'with --to: restore a plain archive without its key, unverified')
    .addHelpText(
      'after',
      '\nExamples:\n  sparsebak restore work/private.img --session S_20261123-020000 --to /tmp/private.img\n' +
        '  sparsebak restore vm-work-private --replace',
    )
    .action(async (name: string, options: RestoreCommandOptions, command: Command) => {
      await execute(command, async (context) =>
        (await import('./commands/restore.ts')).restore(context, name, options),
      );
    });
  program
    .command('verify')
    .argument('[volume...]')
    .description('verify that sessions can be restored')
    .option('--session <session>', 'which session (default: the newest)')
    .option('--all-sessions', 'verify every session')
    .option('--sample <percent>', 'verify only this share of the chunks, chosen at random', percent)
    .option('--limit-rate <size>', 'verify at most this much a second, such as 50MiB', rate)
    .addHelpText('after', '\nExample:\n  sparsebak verify --sample 5')
    .action(async (names: string[], options: VerifyOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/verify.ts')).verify(context, names, options));
    });
  addLifeCommands(program, execute);
  addKeyCommands(program, execute);
  for (const [name, about] of Object.entries(FAMILIES)) {
    program
      .command(name)
      .description(about)
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .action(() => refuseMissingFamily(name));
  }
  addHelpCommand(program);
}

function addKeyCommands(program: Command, execute: Execute): void {
  const key = program
    .command('key')
    .description('manage the passphrases and recovery keys of the archive')
    .addHelpText('after', '\nExamples:\n  sparsebak key list\n  sparsebak key add --recovery')
    .helpCommand(false);
  const secret = (command: Command) =>
    command
      .option('--passphrase-file <file>', 'read the passphrase from a file (line ends at the end are dropped)')
      .option('--passphrase-command <command>', 'run this shell command and use its output as the passphrase');
  key
    .command('list')
    .description('show the key slots, and the line to compare after "key unlock"')
    .addHelpText('after', '\nExample:\n  sparsebak key list')
    .action(async (_options, command: Command) => {
      await execute(command, async (context) => (await import('./commands/key.ts')).keyList(context));
    });
  secret(key.command('add').argument('[slot]').description('add a passphrase or a recovery key'))
    .option('--recovery', 'add a recovery key instead of a passphrase')
    .addHelpText('after', '\nExamples:\n  sparsebak key add second-passphrase\n  sparsebak key add --recovery')
    .action(async (slot: string | undefined, options: KeyOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/key.ts')).keyAdd(context, slot, options));
    });
  secret(key.command('change').argument('<slot>').description('replace the passphrase or recovery key of a slot'))
    .addHelpText('after', '\nExample:\n  sparsebak key change passphrase')
    .action(async (slot: string, options: KeyOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/key.ts')).keyChange(context, slot, options));
    });
  key
    .command('remove')
    .argument('<slot>')
    .description('remove a key slot')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  sparsebak key remove second-passphrase')
    .action(async (slot: string, options: { yes?: boolean }, command: Command) => {
      await execute(command, async (context) => (await import('./commands/key.ts')).keyRemove(context, slot, options));
    });
  secret(key.command('unlock').description('open an archive that this computer does not know yet, for reading'))
    .option('--recovery', 'ask for the recovery key instead of a passphrase')
    .option('--recovery-key-file <file>', 'read the recovery key from a file')
    .option('--slot <slot>', 'try only this slot')
    .option('--again', 'open an archive again that this computer knows; set its old state aside')
    .addHelpText('after', '\nExample:\n  sparsebak key unlock --recovery')
    .action(async (options: UnlockOptions, command: Command) => {
      await execute(command, async (context) => (await import('./commands/key-unlock.ts')).keyUnlock(context, options));
    });
}

function percent(text: string): number {
  const value = Number(text.replace(/%$/, ''));
  if (!(value > 0 && value <= 100)) throw new InvalidArgumentError('a percentage above 0, up to 100.');
  return value;
}

/** Bytes, with K, M or G for powers of 1024. */
function size(text: string): number {
  const match = /^(\d{1,12})([KMG]?)(?:i?B)?$/i.exec(text);
  if (match === null) throw new InvalidArgumentError('a size such as 256K or 1M.');
  return Number(match[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf((match[2] ?? '').toUpperCase());
}
