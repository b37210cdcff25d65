/**
 * Names of what a qube has in an archive: `work:private` is its volume `private`, and `work:settings` its settings.
 * Qubes' own tools write volumes so (`qvm-volume info work:private`). A qube's name contains no colon.
 */

/** The volume of a qube's settings document. Qubes has no volume of this name. */
export const SETTINGS = 'settings';

/** The name of dom0's home directory in an archive. */
export const DOM0_HOME = 'dom0:home';

/** A qube with this tag is being restored, by sparsebak or another program: Qubes refuses to start it. */
export const RESTORE_TAG = 'backup-restore-in-progress';

/** Why nothing of such a qube is saved. */
export const UNFINISHED = {
  reason: `a restore of its qube is not finished (it has the tag ${RESTORE_TAG})`,
  hint: 'Continue it by the command that began it; "sparsebak qube restore" does so for its own.',
};

/** Qubes' grammar: a letter, then letters, digits, `_`, `.`, `-`; 31 characters at most; not ending in `-dm`. */
const QUBE_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,30}$/;
const VOLUME_NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/;

export function isQubeName(text: string): boolean {
  return QUBE_NAME.test(text) && !text.endsWith('-dm');
}

export function archiveName(qube: string, volume: string): string {
  return `${qube}:${volume}`;
}

export interface QubeVolumeName {
  readonly qube: string;
  readonly volume: string;
}

/** undefined: not the name of something that a qube has. */
export function parseArchiveName(name: string): QubeVolumeName | undefined {
  const at = name.indexOf(':');
  const [qube, volume] = [name.slice(0, at), name.slice(at + 1)];
  return at > 0 && isQubeName(qube) && VOLUME_NAME.test(volume) ? { qube, volume } : undefined;
}
