/**
 * Who calls, and with what argument, where the call comes over qrexec. It asks no policy for calls that dom0 makes, and hands on
 * their argument as it came: so both are checked here, before anything is looked at.
 */
import { isArchiveName, type ArchiveName } from '../../shared/archive/names.ts';
import { escapeText } from '../../shared/text.ts';
import type { Settings } from './settings.ts';

export interface Admission {
  /** Why this call is not served at all; undefined where it is. */
  readonly refusal: string | undefined;
  readonly permits: (archive: ArchiveName) => boolean;
}

/** @param env QREXEC_REMOTE_DOMAIN and QREXEC_SERVICE_ARGUMENT; without either the call did not come from a qube */
export function admit({ callers, archives }: Settings, env: NodeJS.ProcessEnv): Admission {
  const { QREXEC_REMOTE_DOMAIN: caller, QREXEC_SERVICE_ARGUMENT: argument } = env;
  const configured = (archive: ArchiveName) => archives?.includes(archive) ?? true;
  if (caller !== undefined && !callers.includes(caller)) {
    return refused(`qube ${escapeText(caller, 64)} may not call this receiver`);
  }
  if (argument === undefined) return { refusal: undefined, permits: configured };
  if (!isArchiveName(argument)) {
    return refused(`the service’s argument is no archive’s name: ${escapeText(argument, 64)}`);
  }
  return { refusal: undefined, permits: (archive) => archive === argument && configured(archive) };
}

function refused(refusal: string): Admission {
  return { refusal, permits: () => false };
}
