/** What goes wrong with a restore's target, by the name that a person gave it, with what to do. */
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space there, or name another target.',
  EDQUOT: 'Free space there or raise the quota, or name another target.',
  EFBIG: 'Name a target on a file system that takes files of this size.',
  EROFS: 'Mount it writable, or name another target.',
  EEXIST: 'Somebody made it meanwhile: name another target.',
  EIO: 'The disk may be failing: name a target on another.',
};

/** Runs one step; what the system refuses in it becomes an error of the target. */
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
