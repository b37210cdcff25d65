/** The kind of damage that an error on reading a stored file means. */
import { systemCode } from '../../../../shared/errors.ts';
import { Refusal, isOurFault } from '../../refusal.ts';
import type { DamageKind } from '../../store.ts';

/** Throws errors that are not damage. */
export function damageKindOf(error: unknown): Extract<DamageKind, 'missing' | 'unreadable'> {
  if (error instanceof Refusal) return 'unreadable';
  if (isOurFault(error)) throw error;
  return systemCode(error) === 'ENOENT' ? 'missing' : 'unreadable';
}
