/**
 * What to do next, after an error that ended a command: its own hint or, without one, what is true of every error with
 * its code.
 */
import type { ErrorCode, SparsebakError } from './errors.ts';

const NEXT_STEP: Readonly<Record<ErrorCode, string | undefined>> = {
  failed: 'Run it again; if it fails again, report it with what --log-level debug shows.',
  io: 'See whether the disk is full, read-only or failing (dmesg); then run it again.',
  source: 'See whether the volume and its pool are there and readable; then run it again.',
  target: 'Choose another target.',
  'wrong-passphrase': 'Try again, or use another passphrase or the recovery key.',
  'not-found': 'The command "list" shows what the archive has.',
  usage: 'See --help.',
  config: 'Correct the configuration; docs/cli.md describes its fields.',
  // Only an exit status: the error of each row says why.
  partial: undefined,
  integrity: 'Run "sparsebak-receiver check" at the backup disk; docs/damage.md says what can be repaired.',
  rollback: 'docs/damage.md says what an archive that lost sessions means.',
  fork: 'docs/cli.md, "Two computers", has the two ways out.',
  unreachable: 'See whether the backup VM or host runs, and whether the destination is right.',
  refused: 'The configuration and the log of the receiver say why.',
  protocol: 'See whether both programs are of the same release (--version).',
  'no-space': 'Prune the archive, or give it a larger disk.',
  locked: 'Wait for the other command, or give --lock-wait more time.',
  // Whoever interrupted a command, or answered no, knows what to do.
  interrupted: undefined,
};

/** Undefined if there is nothing to say. */
export function nextStep({ code, hint }: Pick<SparsebakError, 'code' | 'hint'>): string | undefined {
  return hint ?? NEXT_STEP[code];
}
