/**
 * The command line of what keeps an archive in order: for the VM's own timers, and for people.
 */
import { InvalidArgumentError, type Command } from 'commander';
import { parseSize } from '../../shared/archive/low-space.ts';
import { parseCount, parseDuration, parseWithin } from '../../shared/archive/retention-fields.ts';
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

/** `settings` are read when a command runs; `json` tells whether it was asked for. */
export function addMaintenance(program: Command, runs: Runs, settings: () => Settings, json: () => boolean): void {
  program
    .command('prune')
    .description('Take away the sessions that the policy does not keep. Needs no key, and no dom0.')
    .option('--keep-last <count>', 'the newest', orUsage(parseCount))
    .option('--keep-hourly <count>', 'the newest of each hour, of so many hours that have any', orUsage(parseCount))
    .option('--keep-daily <count>', 'the newest of each day', orUsage(parseCount))
    .option('--keep-weekly <count>', 'the newest of each week', orUsage(parseCount))
    .option('--keep-monthly <count>', 'the newest of each month', orUsage(parseCount))
    .option('--keep-yearly <count>', 'the newest of each year', orUsage(parseCount))
    .option('--keep-within <duration>', 'all of that time up to the newest, as 36h, 30d, 8w', orUsage(parseWithin))
    .option('--if-low', 'only while the disk runs low (low_space), the oldest first')
    .option('--dry-run', 'show what would go, and what would become free')
    .option('--yes', 'also where more than half of a volume would go at once')
    .addHelpText(
      'after',
      `
Without a --keep option the policy is the configuration's. Times are UTC. The newest session of a volume, the min_keep
newest, and protected ones always stay.

Examples:
  sparsebak-receiver prune --dry-run
  sparsebak-receiver prune --keep-daily 7 --keep-weekly 4
  sparsebak-receiver prune --if-low`,
    )
    .action((flags: PruneFlags) =>
      runs(async () => {
        const { pruneCommand } = await import('./prune.ts');
        const { dryRun = false, ifLow = false, yes = false } = flags;
        const options = { policy: policyOf(flags), dryRun, ifLow, yes };
        return await pruneCommand(settings(), options, json());
      }),
    );

  program
    .command('stats')
    .description('What takes up the disk, by volume and session, and what pruning would free. Looks at every file.')
    .addHelpText('after', '\nExamples:\n  sparsebak-receiver stats\n  sparsebak-receiver stats --archive laptop --json')
    .action(() =>
      runs(async () => {
        const { statsCommand } = await import('./stats.ts');
        return await statsCommand(settings(), json());
      }),
    );

  program
    .command('scrub')
    .description('Read what was not read for long and compare it with its checksums; go on where the last one stopped.')
    .option('--every <duration>', 'all is to be read once in that time (scrub_every, or 30d)', orUsage(parseDuration))
    .option('--max-time <duration>', 'stop then, as 90m or 6h, and go on with the next run', orUsage(parseDuration))
    .option('--rate <size>', 'no more than that a second, as 50MiB', orUsage(parseSize))
    .addHelpText(
      'after',
      `
Exit status 4 when anything is damaged. What is damaged of a volume's newest session dom0 offers again with its next send,
if it still has it.

Examples:
  sparsebak-receiver scrub
  sparsebak-receiver scrub --max-time 2h --rate 50MiB      (from a timer, every night)`,
    )
    .action(({ every, maxTime = Infinity, rate = Infinity }: { every?: number; maxTime?: number; rate?: number }) =>
      runs(async () => {
        const { scrubCommand } = await import('./scrub.ts');
        return await scrubCommand(settings(), { every, maxTime, bytesPerSecond: rate }, json());
      }),
    );

  program
    .command('dedup')
    .description('Store equal chunks once, by hard links, in archives that were made without deduplication, too.')
    .addHelpText(
      'after',
      `
An encrypted archive that was made without --dedup on has no two chunks with the same bytes: nothing is done there.

Examples:
  sparsebak-receiver dedup
  sparsebak-receiver dedup --archive laptop --json`,
    )
    .action(() =>
      runs(async () => {
        const { dedupCommand } = await import('./dedup.ts');
        return await dedupCommand(settings(), json());
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
