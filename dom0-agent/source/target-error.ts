/** Errors of a restore's target, with the user's name for it and a hint. */
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space there, or choose another target.',
  EDQUOT: 'Free space there or raise the quota, or choose another target.',
  EFBIG: 'Choose a target on a file system that supports files of this size.',
  EROFS: 'Mount it writable, or choose another target.',
  EEXIST: 'It was created meanwhile: choose another target.',
  EIO: 'The disk may be failing: choose a target on another disk.',
};

/** Runs one step; a system error in it becomes an error of the target. */
export function attempt<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failed(name, error);
  }
}

export function failed(name: string, error: unknown): SparsebakError {
  if (error instanceof SparsebakError) return error;
  const hint = HINTS[systemCode(error) ?? ''] ?? 'Check the folder and its permissions.';
  return new SparsebakError('target', plainText(error, name), { hint, cause: error });
}
