/** What a check of `doctor` found, in either program, and how it is shown. */
import type { SparsebakError } from './errors.ts';
import { nextStep } from './next-step.ts';
import { escapeText } from './text.ts';

/**
 * `ok`: as it should be. `note`: not wrong, but good to know. `overdue`: something was not done for too long. `failed`:
 * backups or restores do not work, or will not.
 */
export type Verdict = 'ok' | 'note' | 'overdue' | 'failed';

export interface Finding {
  /** What was checked, in one or two words. */
  readonly check: string;
  readonly verdict: Verdict;
  readonly message: string;
  /** What to do next; absent if nothing. */
  readonly hint?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, verdict: 'ok', message };
}

export function note(check: string, message: string, hint?: string): Finding {
  return { check, verdict: 'note', message, ...(hint === undefined ? {} : { hint }) };
}

export function overdue(check: string, message: string, hint: string): Finding {
  return { check, verdict: 'overdue', message, hint };
}

export function failed(check: string, message: string, hint: string): Finding {
  return { check, verdict: 'failed', message, hint };
}

export function failedBy(check: string, error: Pick<SparsebakError, 'code' | 'message' | 'hint'>): Finding {
  const hint = nextStep(error);
  return { check, verdict: 'failed', message: error.message, ...(hint === undefined ? {} : { hint }) };
}

/** Whether nothing failed and nothing is overdue. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict === 'ok' || verdict === 'note');
}

const SIGNS = { ok: 'ok', note: 'note', overdue: 'OVERDUE', failed: 'FAILED' } as const;

/** Lines for people, the last one a summary. */
export function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, message, hint }) => [
    `${SIGNS[verdict].padEnd(7)}  ${check.padEnd(width)}  ${escapeText(message, 2000)}`,
    ...(hint === undefined ? [] : [`${' '.repeat(width + 11)}→ ${escapeText(hint, 2000)}`]),
  ]);
  const count = (of: Verdict) => findings.filter(({ verdict }) => verdict === of).length;
  const counts = [`${count('failed')} failed`, `${count('overdue')} overdue`].filter((text) => !text.startsWith('0 '));
  return [...lines, '', isHealthy(findings) ? 'Everything that was checked is well.' : counts.join(', ')].join('\n');
}
