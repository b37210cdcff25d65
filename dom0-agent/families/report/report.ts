/** `report`: what the archive has, as one page for people or one document for programs. */
import { SparsebakError } from '../../../shared/errors.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { print } from '../../cli/output.ts';
import { printVolumeErrors, statusOfErrors } from '../../cli/volume-errors.ts';
import { collect } from './collect.ts';
import { pageOf } from './page.ts';
import { checkPageFile, writePageFile } from './page-file.ts';

export interface ReportOptions {
  readonly html?: string;
  readonly force?: boolean;
}

export async function report(context: CommandContext, { html, force = false }: ReportOptions): Promise<number> {
  if (html === undefined && !context.json) {
    throw new SparsebakError('usage', 'report needs --html FILE, or --json', {
      hint: 'Use "sparsebak report --html backups.html"; "sparsebak list" and "sparsebak status" show tables.',
    });
  }
  // Before minutes are spent on an archive whose report has no place.
  if (html !== undefined) await checkPageFile(html, force);
  const { document, errors } = await collect(context);
  if (html !== undefined) await writePageFile(html, pageOf(document), force);
  if (context.json) context.conclude(document, () => '');
  else print(`The report is in ${html ?? ''}.`);
  printVolumeErrors(errors);
  return statusOfErrors(errors);
}
