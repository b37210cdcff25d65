/**
 * The errors of single volumes, on stderr behind a command's table: equal next steps are said once, and long lists are
 * counted.
 */
import { EXIT_STATUS, type ErrorReport } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { print } from './output.ts';

export interface VolumeError {
  readonly name: string;
  readonly error: ErrorReport;
}

/** Errors with one next step that are named one by one. */
const NAMED = 20;

export function printVolumeErrors(errors: readonly VolumeError[]): void {
  const byHint = new Map<string, string[]>();
  for (const { name, error } of errors) {
    const line = error.message.includes(name) ? error.message : `${name}: ${error.message}`;
    const hint = error.hint ?? '';
    byHint.set(hint, [...(byHint.get(hint) ?? []), line]);
  }
  for (const [hint, lines] of byHint) {
    const more = lines.length - NAMED;
    const shown = lines.slice(0, NAMED).map((line) => `sparsebak: ${escapeText(line, 2000)}`);
    if (more > 0) shown.push(`sparsebak: and ${more} more like these`);
    if (hint !== '') shown.push(`  → ${escapeText(hint, 2000)}`);
    print(shown.join('\n'), 2);
  }
}

/** What is damaged or rolled back counts above all else. */
export function statusOfErrors(errors: readonly VolumeError[]): number {
  const statuses = errors.map(({ error }) => EXIT_STATUS[error.code as keyof typeof EXIT_STATUS]);
  return statuses.includes(EXIT_STATUS.integrity) ? EXIT_STATUS.integrity : (statuses[0] ?? 0);
}
