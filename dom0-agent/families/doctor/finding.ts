/** What a check found. */
import type { SparsebakError } from '../../../shared/errors.ts';

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

export function failedBy(check: string, { message, hint }: Pick<SparsebakError, 'message' | 'hint'>): Finding {
  return { check, verdict: 'failed', message, ...(hint === undefined ? {} : { hint }) };
}
