/** The command line of `doctor`. */
import type { Command } from 'commander';
import type { Execute } from '../../cli/command-runner.ts';
import { doctor, type DoctorOptions } from './doctor.ts';
import { noticeOfUnit } from './failed-unit.ts';

export function addDoctor(program: Command, execute: Execute): void {
  program
    .command('doctor')
    .description('check everything that backups need, and say what to do')
    .option('--offline', 'ask no receiver')
    .option('--failed <unit>', 'only tell that this systemd unit failed, as [notify] says (for OnFailure=)')
    .addHelpText('after', '\nExamples:\n  sparsebak doctor\n  sparsebak doctor --offline --json')
    .action(async ({ failed, ...options }: DoctorOptions & { readonly failed?: string }, command: Command) => {
      await execute(command, async (context) =>
        failed === undefined ? doctor(context, options) : noticeOfUnit(context, failed),
      );
    });
}
