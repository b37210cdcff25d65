/** How a receiver's process ended, in a few words for a message. */
import { plainText } from '../../shared/system-error.ts';
import type { LinkEnd } from './link.ts';

export const NOTHING_LOST = 'Nothing that was committed is lost; run the command again.';

export function describeEnd(end: LinkEnd): string {
  if (end.startError !== undefined) return `could not be started: ${plainText(end.startError)}`;
  const how = end.signal === null ? `exit status ${String(end.status)}` : `signal ${end.signal}`;
  return end.stderr === '' ? how : `${how}; it said: ${end.stderr}`;
}
