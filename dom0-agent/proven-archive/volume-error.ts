/**
 * Errors of one volume's content, with the user's name for the volume, the session and the next step. Such an error is
 * the volume's result, and does not stop other volumes.
 */
import { SparsebakError, asSparsebakError, type ErrorCode } from '../../shared/errors.ts';
import type { ReceiverClient } from '../link/client.ts';

/** One volume's content is damaged, missing or not the expected one, or the receiver cannot give it now. */
const OF_ONE_VOLUME: readonly ErrorCode[] = ['integrity', 'rollback', 'refused', 'locked'];

/** Whether the error of a request about one volume concerns only that volume: the connection still works. */
export function isVolumeError(error: unknown, { failure }: Pick<ReceiverClient, 'failure'>): error is SparsebakError {
  return error instanceof SparsebakError && OF_ONE_VOLUME.includes(error.code) && failure === undefined;
}

export interface ErrorPlace {
  readonly id: string;
  /** The user's name for the volume. */
  readonly name: string;
  /** The session that was being read; undefined if it is not known. */
  readonly session?: string | undefined;
  /** What to do next, if the error has no hint. */
  readonly hint: string;
}

/** The same error, with the user's name for the volume and the session. */
export function namingVolume(caught: unknown, { id, name, session, hint }: ErrorPlace): SparsebakError {
  const error = asSparsebakError(caught);
  const message = error.message
    .replaceAll(` of volume ${id}, session ${session ?? ''}`, '')
    .replaceAll(` of volume ${id}`, '');
  const missing = [name, ...(session === undefined ? [] : [`session ${session}`])].filter(
    (part) => !message.includes(part),
  );
  return new SparsebakError(error.code, [missing.join(', '), message].filter((part) => part !== '').join(': '), {
    hint: error.hint ?? hint,
    cause: error,
  });
}
