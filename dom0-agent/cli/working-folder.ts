/**
 * The folder that a command is started in may be gone (a mount that went away, a folder that was removed): no program
 * can be started there, and a path that is relative to it leads nowhere. All else works from the root folder.
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

/** The path that a person gave. @throws `usage` where it begins in a folder that is gone */
export function givenPath(path: string): string {
  if (!isGone || isAbsolute(path)) return path;
  throw new SparsebakError('usage', `the folder that this command was started in is gone, so ${path} leads nowhere`, {
    hint: 'Change to a folder that is there, or give the path from /.',
  });
}
