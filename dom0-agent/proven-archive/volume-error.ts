/**
 * What is wrong with one volume's content: told by the user's name for the volume, with the session and the next step.
 * It is that volume's result, and stops no other volume.
 */
import { SparsebakError, asSparsebakError, type ErrorCode } from '../../shared/errors.ts';
import type { ReceiverClient } from '../link/client.ts';

/** One volume's content is damaged, missing or another, or the receiver cannot give it now. */
const OF_ONE_VOLUME: readonly ErrorCode[] = ['integrity', 'rollback', 'refused', 'locked'];

/** Whether the error of a request about one volume is that volume's alone: the connection still stands. */
export function isVolumeError(error: unknown, { failure }: Pick<ReceiverClient, 'failure'>): error is SparsebakError {
  return error instanceof SparsebakError && OF_ONE_VOLUME.includes(error.code) && failure === undefined;
}

export interface ErrorPlace {
  readonly id: string;
  /** The user's name for the volume. */
  readonly name: string;
  /** The session that was being read; undefined where it is not known. */
  readonly session?: string | undefined;
  /** What to do next, where the error does not say it. */
  readonly hint: string;
}

/** The same error, naming the volume and the session as their user knows them. */
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
