/** The error for an object that is not the one dom0 made. */
import { SparsebakError } from '../../shared/errors.ts';

/**
 * The error for an object that fails a check.
 * @param what the object in a user's words: `page 3 of volume …`. Never anything secret
 * @param reason why the check failed
 */
export function integrityError(what: string, reason: string, cause?: unknown): SparsebakError {
  return new SparsebakError('integrity', `${what}: ${reason}`, cause === undefined ? {} : { cause });
}
