import { SparsebakError, type ErrorCode } from '../../../shared/errors.ts';

/** For assert.throws: the error is ours, has this code, and says this. */
export function isError(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    // Any other class of error is a fault of ours, not of the peer's: let it be seen as it is.
    if (!(error instanceof SparsebakError)) throw error;
    if (error.code === code && message.test(error.message)) return true;
    throw new Error(`expected ${code} ${String(message)}, got ${error.code}: ${error.message}`, { cause: error });
  };
}

export function isProtocolError(message: RegExp): (error: unknown) => boolean {
  return isError('protocol', message);
}
