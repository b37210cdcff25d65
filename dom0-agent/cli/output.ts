/** A command's output: one JSON document on stdout with `--json`, otherwise text; everything else goes to stderr. */
import type { ErrorReport, SparsebakError } from '../../shared/errors.ts';
import { nextStep } from '../../shared/next-step.ts';
import { isJournal, withPriority } from '../../shared/terminal/journal.ts';
import { formatTable as layOut } from '../../shared/terminal/table.ts';
import { writeAll } from '../../shared/terminal/write-all.ts';
import { escapeText } from '../../shared/text.ts';

/**
 * Rows under headings, made to fit a terminal; `right` names the columns of numbers. A remark about its row, in a last
 * column without a heading, is never cut.
 * @param droppable columns that may be left out on a narrow terminal, in this order
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
  droppable: readonly number[] = [],
): string {
  const width = process.stdout.isTTY ? process.stdout.columns || 80 : undefined;
  return layOut({ headings, rows, right, droppable }, width);
}

/** The hints for the errors of a table's rows; one line for all rows with the same hint. */
export function formatHints(rows: readonly { readonly name: string; readonly error?: ErrorReport }[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, error } of rows) {
    if (error?.hint !== undefined) names.set(error.hint, [...(names.get(error.hint) ?? []), name]);
  }
  return [...names].map(([hint, about]) => {
    const [first = '', ...more] = about;
    const whom = more.length === 0 ? first : `${first} and ${more.length} more`;
    return `  → ${escapeText(whom, 4096)}: ${escapeText(hint, 2000)}`;
  });
}

/** Writes all of the text, also to a pipe with a slow reader; a closed pipe is not an error. */
export function print(text: string, fd: 1 | 2 = 1): void {
  writeAll(fd, `${text}\n`);
}

let documents = 0;

/** Whether the JSON document was already printed. */
function hasPrintedJson(): boolean {
  return documents > 0;
}

export function printJson(document: unknown): void {
  documents++;
  print(JSON.stringify(document, null, 2));
}

/** The document of a command that failed as a whole. */
export function printJsonError(error: SparsebakError): void {
  const { code, message } = error;
  const hint = nextStep(error);
  if (!hasPrintedJson()) printJson({ error: { code, message, ...(hint === undefined ? {} : { hint }) } });
}

/** Prints the error to stderr: what failed and where, then what to do next. */
export function printError(error: SparsebakError): void {
  const lines = error.message.split('\n').map((line) => escapeText(line, 2000));
  const step = nextStep(error);
  const hint = step === undefined ? '' : `\n  → ${escapeText(step, 2000)}`;
  const text = `sparsebak: ${lines.join('\n')}${hint}`;
  print(isJournal(2) ? withPriority(text, 'error') : text, 2);
}
