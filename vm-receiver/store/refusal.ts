/**
 * The error that the store and the service throw: it also has the answer for the agent (docs/protocol.md, section 3).
 * Its message never names a path outside the archive.
 */
import { SparsebakError, systemCode, type ErrorCode, type ErrorDetails } from '../../shared/errors.ts';
import { systemMeaning } from '../../shared/system-error.ts';
import type { RemoteError } from '../../shared/wire/messages.ts';

/** The error code, and so the exit status, for commands without an agent. */
const LOCAL: Readonly<Record<RemoteError, ErrorCode>> = {
  version: 'protocol',
  'not-found': 'not-found',
  exists: 'refused',
  unsupported: 'refused',
  'stale-base': 'failed',
  conflict: 'failed',
  refused: 'refused',
  'not-mounted': 'unreachable',
  'no-space': 'no-space',
  io: 'io',
  locked: 'locked',
  'bad-request': 'protocol',
};

export class Refusal extends SparsebakError {
  readonly answer: RemoteError;

  constructor(answer: RemoteError, message: string, details: ErrorDetails = {}) {
    super(LOCAL[answer], message, details);
    this.name = 'Refusal';
    this.answer = answer;
  }
}

/** `what` is the failed action, with the archive's own paths: "write volumes/…/head". */
export function asRefusal(error: unknown, what: string): Refusal {
  if (error instanceof Refusal) return error;
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const kind = code === 'ENOSPC' ? 'no space or no inodes left' : 'the quota is used up';
    return new Refusal('no-space', `cannot ${what}: ${kind}`, {
      cause: error,
      hint: 'Free space on the backup disk, or prune old sessions.',
    });
  }
  return new Refusal('io', `cannot ${what}: ${systemText(error)}`, { cause: error });
}

const OURS = new Set([undefined, 'EMFILE', 'ENFILE', 'ENOMEM']);

/**
 * Whether an error is unrelated to the file that could not be read: the receiver is out of handles or memory, or has a
 * bug.
 */
export function isOurFault(error: unknown): boolean {
  return error instanceof SparsebakError || OURS.has(systemCode(error));
}

/** Whether a refusal means that a stored file is unusable: missing, damaged, or unreadable. */
export function isLoss(error: unknown): error is Refusal {
  if (!(error instanceof Refusal) || error.answer !== 'io') return false;
  return error.cause === undefined || !isOurFault(error.cause);
}

/** The meaning of a system error, without the path in Node's message. */
function systemText(error: unknown): string {
  if (error instanceof SparsebakError) return error.message;
  return systemMeaning(error) ?? systemCode(error) ?? 'an unexpected error';
}

/** Runs one step; any error in it becomes a refusal that says what failed. */
export function attempt<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw asRefusal(error, what);
  }
}

export async function attemptAsync<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw asRefusal(error, what);
  }
}
