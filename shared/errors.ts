/**
 * The one error class of both programs. `code` is a closed set; each code has one exit status (docs/cli.md has the
 * table). A message says what failed and where, `hint` what to do next.
 */
import { plainText } from './system-error.ts';

export { systemCode } from './system-error.ts';

/**
 * Exit status by error code: 1 failed, 2 usage or configuration, 3 partial, 4 integrity, 5 receiver, 6 locked, 130
 * interrupted.
 */
export const EXIT_STATUS = {
  failed: 1,
  io: 1,
  source: 1,
  target: 1,
  'wrong-passphrase': 1,
  'not-found': 1,
  usage: 2,
  config: 2,
  partial: 3,
  integrity: 4,
  rollback: 4,
  fork: 4,
  unreachable: 5,
  refused: 5,
  protocol: 5,
  'no-space': 5,
  locked: 6,
  interrupted: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

export interface ErrorDetails {
  /** What the user can do next, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class SparsebakError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'SparsebakError';
    this.code = code;
    this.hint = details.hint;
  }

  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** Whether a stored object is not the one that dom0 made: corrupt, missing, or another object in its place. */
export function isIntegrity(error: unknown): error is SparsebakError {
  return error instanceof SparsebakError && error.code === 'integrity';
}

/** The same error if it is ours, else wrapped with the given code, in plain words; the cause is always kept. */
export function asSparsebakError(error: unknown, code: ErrorCode = 'failed', context?: string): SparsebakError {
  if (error instanceof SparsebakError) return error;
  if (isFromOtherBundle(error)) {
    const { hint } = error;
    return new SparsebakError(error.code, error.message, { cause: error, ...(hint === undefined ? {} : { hint }) });
  }
  return new SparsebakError(code, plainText(error, context), { cause: error });
}

/** An error of another file of sparsebak, which has a class of its own. */
function isFromOtherBundle(error: unknown): error is SparsebakError {
  return error instanceof Error && error.name === 'SparsebakError' && 'code' in error && isCode(error.code);
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(EXIT_STATUS, code);
}

/** An error as a part of a JSON document. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
}

export function reportOf({ code, message, hint }: SparsebakError): ErrorReport {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
