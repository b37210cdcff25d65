/**
 * Prints the errors of single volumes to stderr after a command's table: equal hints are printed once, and long lists
 * are cut with a count.
 */
import { EXIT_STATUS, type ErrorReport } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { print } from './output.ts';

export interface VolumeError {
  readonly name: string;
  readonly error: ErrorReport;
}

/** How many errors with the same hint are printed one by one. */
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

/** Damage and rollbacks count above everything else. */
export function statusOfErrors(errors: readonly VolumeError[]): number {
  const statuses = errors.map(({ error }) => EXIT_STATUS[error.code as keyof typeof EXIT_STATUS]);
  return statuses.includes(EXIT_STATUS.integrity) ? EXIT_STATUS.integrity : (statuses[0] ?? 0);
}
