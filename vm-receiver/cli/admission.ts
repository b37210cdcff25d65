/**
 * Checks the caller and the argument of a call over qrexec. qrexec does not ask its policy for calls from dom0, and
 * passes on their argument unchecked, so both are checked here before anything else.
 */
import { isArchiveName, type ArchiveName } from '../../shared/archive/names.ts';
import { escapeText } from '../../shared/text.ts';
import type { Settings } from './settings.ts';

export interface Admission {
  /** Why this call is not served at all; undefined if it is. */
  readonly refusal: string | undefined;
  /** Why an archive may not be used in this call; undefined if it may. */
  readonly refuse: (archive: ArchiveName) => string | undefined;
}

/** @param env QREXEC_REMOTE_DOMAIN and QREXEC_SERVICE_ARGUMENT; without both the call did not come from a qube */
export function admit({ callers, archives }: Settings, env: NodeJS.ProcessEnv): Admission {
  const { QREXEC_REMOTE_DOMAIN: caller, QREXEC_SERVICE_ARGUMENT: argument } = env;
  if (caller !== undefined && !callers.includes(caller)) {
    return { refusal: `qube ${escapeText(caller, 64)} may not call this receiver`, refuse: () => undefined };
  }
  if (argument !== undefined && !isArchiveName(argument)) {
    const refusal = `the service’s argument is not an archive’s name: ${escapeText(argument, 64)}`;
    return { refusal, refuse: () => undefined };
  }
  return {
    refusal: undefined,
    refuse(archive) {
      if (argument !== undefined && archive !== argument) {
        return `this call is for archive ${argument}, the argument of its service, not for ${archive}`;
      }
      if (archives?.includes(archive) !== false) return undefined;
      return `archive ${archive} is not among the archives in receiver.toml`;
    },
  };
}
