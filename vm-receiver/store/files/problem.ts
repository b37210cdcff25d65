/**
 * What an error on reading a stored file says of that file.
 */
import { systemCode } from '../../../shared/errors.ts';
import { Refusal } from '../refusal.ts';
import type { Problem } from '../store.ts';

/** That we are out of memory or handles is no damage of a file. */
const OURS = new Set([undefined, 'EMFILE', 'ENFILE', 'ENOMEM']);

/** Throws what is no damage. */
export function problemOf(error: unknown): Extract<Problem, 'missing' | 'unreadable'> {
  if (error instanceof Refusal) return 'unreadable';
  const code = systemCode(error);
  if (OURS.has(code)) throw error;
  return code === 'ENOENT' ? 'missing' : 'unreadable';
}
