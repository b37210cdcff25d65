/**
 * The folder that a command is started in may no longer exist (it was unmounted or removed): no program can be started
 * there, and paths relative to it lead nowhere. Everything else works from the root folder.
 */
import { isAbsolute } from 'node:path';
import { SparsebakError } from '../../shared/errors.ts';

let isGone = false;

/** To be called before anything else. */
export function leaveDeletedFolder(): void {
  try {
    process.cwd();
  } catch {
    isGone = true;
    process.chdir('/');
  }
}

/** A path that the user gave. @throws `usage` if it is relative to a folder that no longer exists */
export function givenPath(path: string): string {
  if (!isGone || isAbsolute(path)) return path;
  throw new SparsebakError('usage', `the folder in which this command was started is gone, so ${path} leads nowhere`, {
    hint: 'Change to an existing folder, or give an absolute path.',
  });
}
