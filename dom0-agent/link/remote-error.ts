/** Converts an error of the receiver: its text is escaped, the hint is our own. */
import { SparsebakError, type ErrorCode } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import type { ReceiverMessage, RemoteError } from '../../shared/wire/messages.ts';

const MEANING: Record<RemoteError, { code: ErrorCode; hint: string }> = {
  version: { code: 'refused', hint: 'Install the same release of sparsebak on both sides.' },
  'not-found': { code: 'not-found', hint: 'Run "sparsebak list" to see what the archive has.' },
  exists: {
    code: 'failed',
    hint: 'Choose another archive name, or use the existing archive with "sparsebak key unlock".',
  },
  unsupported: { code: 'refused', hint: 'The archive was written by a newer release; update the receiver.' },
  'stale-base': { code: 'refused', hint: 'Another agent sent this volume meanwhile; run the command again.' },
  conflict: { code: 'refused', hint: 'Another agent wrote to this archive meanwhile; run the command again.' },
  refused: {
    code: 'refused',
    hint: "The receiver's own configuration forbids this; see its receiver.toml and the service that is called.",
  },
  'not-mounted': {
    code: 'refused',
    hint: 'Mount the backup disk where the receiver expects it, then run the command again.',
  },
  'no-space': {
    code: 'no-space',
    hint: 'Free space on the backup disk or prune old sessions; earlier sessions are untouched.',
  },
  io: {
    code: 'refused',
    hint:
      "See the receiver's log, check its disk, and whether the backup folder belongs to its user; earlier " +
      'sessions are untouched.',
  },
  locked: {
    code: 'locked',
    hint: 'Another command works on this archive; wait for it, or allow more time with --lock-wait.',
  },
  'bad-request': {
    code: 'protocol',
    hint: 'This is a bug in one of the two programs, or different releases; please report it.',
  },
};

export function remoteError(message: Extract<ReceiverMessage, { t: 'error' }>, destination: string): SparsebakError {
  const { code, hint } = MEANING[message.code];
  return new SparsebakError(code, `${destination}: ${escapeText(message.message, 300)}`, { hint });
}
