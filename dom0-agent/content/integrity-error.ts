/** How content says that an object is not what dom0 made. */
import { SparsebakError } from '../../shared/errors.ts';

/**
 * The error of every object that fails a check.
 * @param what the object in a user's words: `page 3 of volume …`. Never anything secret
 * @param reason what was found wrong with it
 */
export function integrityError(what: string, reason: string, cause?: unknown): SparsebakError {
  return new SparsebakError('integrity', `${what}: ${reason}`, cause === undefined ? {} : { cause });
}
