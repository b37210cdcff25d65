/** Only root may access dom0's state: a user who forgot sudo is told so, before the state looks damaged. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';

const { R_OK, W_OK, X_OK } = constants;

/** @throws `config` if this user cannot read and write in the folder, or cannot create it */
export function mustBeAccessible(stateDir: string): void {
  for (let folder = stateDir, mode = R_OK | W_OK | X_OK; ; folder = dirname(folder), mode = W_OK | X_OK) {
    try {
      accessSync(folder, mode);
      return;
    } catch (error) {
      if (isForbidden(error)) throw forbidden(stateDir, error);
      // A read-only or broken disk causes its own error later.
      if (systemCode(error) !== 'ENOENT' || folder === dirname(folder)) return;
    }
  }
}

export function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(systemCode(error) ?? '');
}

export function forbidden(folder: string, cause: unknown): SparsebakError {
  return new SparsebakError('config', `this user has no access to the state in ${folder}`, {
    hint: 'Run sparsebak as root: sudo sparsebak …',
    cause,
  });
}
