/**
 * The command line of `kept`.
 */
import { InvalidArgumentError, type Command } from 'commander';
import type { Settings } from './settings.ts';

type Runs = (work: () => Promise<number>) => Promise<void>;

/** `settings` are read when a command runs; `json` whether JSON is asked for. */
export function addKept(program: Command, runs: Runs, settings: () => Promise<Settings>, json: () => boolean): void {
  const kept = program
    .command('kept')
    .helpCommand(false)
    .description('copies of catalogues and key slots: list them, put one back')
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver kept list
  sparsebak-receiver kept restore 12`,
    );

  kept
    .command('list')
    .description('list the versions that are kept, with their numbers')
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver kept list
  sparsebak-receiver kept list --archive laptop --json`,
    )
    .action(() =>
      runs(async () => {
        const { keptListCommand } = await import('./kept-command.ts');
        return await keptListCommand(await settings(), json());
      }),
    );

  kept
    .command('restore')
    .description('put a version back in its place, after asking; what is there now is kept')
    .argument('<version>', 'its number in "kept list"', version)
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver kept restore 12
  sparsebak-receiver kept restore 12 --archive laptop --yes`,
    )
    .action((number: number, { yes = false }: { yes?: boolean }) =>
      runs(async () => {
        const { keptRestoreCommand } = await import('./kept-command.ts');
        return await keptRestoreCommand(await settings(), number, yes, json());
      }),
    );

  kept
    .command('remove')
    .description('remove versions before they expire, after asking')
    .argument('<version...>', 'their numbers in "kept list"', versions)
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
Examples:
  sparsebak-receiver kept remove 7
  sparsebak-receiver kept remove 7 8 --archive laptop --yes`,
    )
    .action((numbers: readonly number[], { yes = false }: { yes?: boolean }) =>
      runs(async () => {
        const { keptRemoveCommand } = await import('./kept-command.ts');
        return await keptRemoveCommand(await settings(), numbers, yes, json());
      }),
    );
}

function version(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Not a number of "kept list".');
}

function versions(text: string, before: readonly number[] | undefined): readonly number[] {
  return [...(before ?? []), version(text)];
}
