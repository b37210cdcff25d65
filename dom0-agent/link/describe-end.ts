/** How a receiver's process ended, in a few words for a message. */
import type { LinkEnd } from './link.ts';

export function describeEnd(end: LinkEnd): string {
  const how =
    end.startError !== undefined
      ? `it could not be started: ${end.startError instanceof Error ? end.startError.message : 'unknown'}`
      : end.signal !== null
        ? `signal ${end.signal}`
        : `exit status ${String(end.status)}`;
  return end.stderr === '' ? how : `${how}; it said: ${end.stderr}`;
}
