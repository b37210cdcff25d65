/** The commands that maintain archives, for the VM's own timers and for users. */
import { InvalidArgumentError, type Command } from 'commander';
import { parseSize } from '../../shared/archive/low-space.ts';
import { parseCount, parseDuration, parseWithin } from '../../shared/archive/retention-values.ts';
import type { RetentionPolicy } from '../../shared/archive/retention.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import type { Settings } from './settings.ts';

type Runs = (work: () => Promise<number>) => Promise<void>;

interface PruneFlags {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: number;
  readonly ifLow?: true;
  readonly dryRun?: true;
  readonly yes?: true;
}

interface ScrubFlags {
  readonly every?: number;
  readonly maxTime?: number;
  readonly limitRate?: number;
  readonly renewChecksums?: boolean;
}

/** `settings` are read when a command runs; `json` whether JSON is asked for. */
export function addMaintenance(
  program: Command,
  runs: Runs,
  settings: () => Promise<Settings>,
  json: () => boolean,
): void {
  program
    .command('prune')
    .description('remove sessions that the retention policy does not keep; needs no key and no dom0')
    .option('--keep-last <count>', 'keep this many of the newest sessions', orUsage(parseCount))
    .option(
      '--keep-hourly <count>',
      'keep the newest of each hour, for this many hours that have a session',
      orUsage(parseCount),
    )
    .option('--keep-daily <count>', 'the same for days', orUsage(parseCount))
    .option('--keep-weekly <count>', 'the same for weeks', orUsage(parseCount))
    .option('--keep-monthly <count>', 'the same for months', orUsage(parseCount))
    .option('--keep-yearly <count>', 'the same for years', orUsage(parseCount))
    .option(
      '--keep-within <duration>',
      'keep all sessions of this time before the newest one: 36h, 30d, 8w',
      orUsage(parseWithin),
    )
    .option('--if-low', 'only while the disk runs low (low_space), oldest sessions first')
    .option('--dry-run', 'only show what would be removed, and the space it would free')
    .option('--yes', 'allow removing more than half of a volume’s sessions')
    .addHelpText(
      'after',
      `
Without a --keep option the retention policy is that of the configuration. Times are UTC. A volume's newest session, its
min_keep newest sessions, and protected sessions are never removed.

Examples:
  sparsebak-receiver prune --dry-run
  sparsebak-receiver prune --keep-daily 7 --keep-weekly 4
  sparsebak-receiver prune --if-low`,
    )
    .action((flags: PruneFlags) =>
      runs(async () => {
        const { pruneCommand } = await import('./prune-command.ts');
        const { dryRun = false, ifLow = false, yes = false } = flags;
        const options = { policy: policyOf(flags), dryRun, ifLow, yes };
        return await pruneCommand(await settings(), options, json());
      }),
    );

  program
    .command('stats')
    .description('show the space that each volume and session takes, and what pruning would free; looks at every file')
    .addHelpText('after', '\nExamples:\n  sparsebak-receiver stats\n  sparsebak-receiver stats --archive laptop --json')
    .action(() =>
      runs(async () => {
        const { statsCommand } = await import('./stats-command.ts');
        return await statsCommand(await settings(), json());
      }),
    );

  program
    .command('scrub')
    .description(
      'compare stored files with their checksums, those not read for longest first; each run continues the last',
    )
    .option(
      '--every <duration>',
      'read everything once in this time (default: scrub_every, or 30d)',
      orUsage(parseDuration),
    )
    .option(
      '--max-time <duration>',
      'stop after this time, such as 90m or 6h; the next run continues',
      orUsage(parseDuration),
    )
    .option('--limit-rate <size>', 'read at most this much a second, such as 50MiB', orUsage(parseSize))
    .option('--renew-checksums', 'make missing checksums again from the files; first run "sparsebak verify" in dom0')
    .addHelpText(
      'after',
      `
Exit status 4 if anything is damaged. A missing or corrupt catalogue or key slot is restored from its copy. dom0's next
send repairs damage to a volume's newest session, if the volume still has the content.

Examples:
  sparsebak-receiver scrub
  sparsebak-receiver scrub --max-time 2h --limit-rate 50MiB      (from a timer, every night)`,
    )
    .action(({ every, maxTime = Infinity, limitRate = Infinity, renewChecksums = false }: ScrubFlags) =>
      runs(async () => {
        const { scrubCommand } = await import('./scrub-command.ts');
        const options = { every, maxTime, bytesPerSecond: limitRate, renewChecksums };
        return await scrubCommand(await settings(), options, json());
      }),
    );

  program
    .command('dedup')
    .description('store equal chunks once, by hard links, also in archives created without deduplication')
    .addHelpText(
      'after',
      `
An encrypted archive created without "init --dedup on" has no two chunks with equal bytes, so nothing is done there.

Examples:
  sparsebak-receiver dedup
  sparsebak-receiver dedup --archive laptop --json`,
    )
    .action(() =>
      runs(async () => {
        const { dedupCommand } = await import('./dedup-command.ts');
        return await dedupCommand(await settings(), json());
      }),
    );
}

function policyOf(flags: PruneFlags): RetentionPolicy {
  return {
    last: flags.keepLast,
    hourly: flags.keepHourly,
    daily: flags.keepDaily,
    weekly: flags.keepWeekly,
    monthly: flags.keepMonthly,
    yearly: flags.keepYearly,
    within: flags.keepWithin,
  };
}

function orUsage<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(asSparsebakError(error).message);
    }
  };
}
