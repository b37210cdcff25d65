/** The command line of `report`. */
import type { Command } from 'commander';
import type { Execute } from '../../cli/command-runner.ts';
import { report, type ReportOptions } from './report.ts';

export function addReport(program: Command, execute: Execute): void {
  program
    .command('report')
    .description('write a page that shows all sessions, growth, proofs, and what is overdue')
    .option('--html <file>', 'write the page to this new file; a browser shows it without a network')
    .option('--force', 'replace an existing file')
    .addHelpText(
      'after',
      '\nExamples:\n  sparsebak report --html backups.html\n  sparsebak report --json\n\nThe page has no scripts and ' +
        'loads nothing: open it in a disposable, or print it.',
    )
    .action(async (options: ReportOptions, command: Command) => {
      await execute(command, (context) => report(context, options));
    });
}
