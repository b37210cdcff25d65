/** Output of the commands. */
import type { ArchiveName } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';
import { isJournal, withPriority, type Priority } from '../../shared/terminal/journal.ts';
import { formatTable } from '../../shared/terminal/table.ts';
import { nextStep } from '../../shared/next-step.ts';
import { escapeText } from '../../shared/text.ts';
import type { Store } from '../store/store.ts';
import type { Settings } from './settings.ts';

/** The archives of a command: those allowed, or all that exist. */
export function chosenArchives(store: Store, { archives }: Settings): readonly ArchiveName[] {
  return archives ?? store.archives();
}

/** Returns when the text is written: then the process may end. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** An error and its hint in one line. */
export function describeError(error: SparsebakError): string {
  const { message } = error;
  const hint = nextStep(error);
  return escapeText(hint === undefined ? message : `${message}. ${hint}`, 4000);
}

/** Prints a message to standard error, with its priority if that is the journal. */
export function complain(text: string, priority: Priority = 'error'): void {
  const line = `sparsebak-receiver: ${text}`;
  process.stderr.write(`${isJournal(2) ? withPriority(line, priority) : line}\n`);
}

/**
 * Rows under headings, if there are any, made to fit a terminal; cells may contain any text. A last column without a
 * heading has a remark about its row, and is never cut.
 * @param right the columns of numbers
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  if (rows.length === 0) return '';
  const width = process.stdout.isTTY ? process.stdout.columns || 80 : undefined;
  return `${formatTable({ headings, rows, right, indent: '  ' }, width)}\n`;
}
