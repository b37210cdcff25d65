/**
 * What an error on reading a stored file says of that file.
 */
import { systemCode } from '../../../../shared/errors.ts';
import { Refusal, isOurFault } from '../../refusal.ts';
import type { DamageKind } from '../../store.ts';

/** Throws what is no damage. */
export function damageKindOf(error: unknown): Extract<DamageKind, 'missing' | 'unreadable'> {
  if (error instanceof Refusal) return 'unreadable';
  if (isOurFault(error)) throw error;
  return systemCode(error) === 'ENOENT' ? 'missing' : 'unreadable';
}
