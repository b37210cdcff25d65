/** What to do about a damaged file, by its place. docs/damage.md has more about each. */
import { basename } from 'node:path';
import { CHUNK_FILE_NAME } from '../../shared/archive/address.ts';
import type { DamageKind } from '../store/store.ts';

const CHECKSUMS =
  'it is not known here whether the files without a checksum are what was stored: run "sparsebak verify ' +
  '--all-sessions" in dom0, which checks their content; then "sparsebak-receiver scrub --renew-checksums" here';

const BY_FILE: ReadonlyMap<string, string> = new Map([
  ['sha256', CHECKSUMS],
  ['size', 'no restore needs it; "sparsebak-receiver scrub" makes it again if the session’s "stats" is intact'],
  ['index', 'restores rebuild it from the pages; the next "sparsebak send" stores one of its own'],
  [
    'head',
    'this session cannot be restored, others can: "sparsebak prune VOLUME --session SESSION" in dom0 removes ' +
      'it. For the newest session of ' +
      'a volume move its folder out of the archive, then run "sparsebak send --accept-rollback"',
  ],
]);

const CONTENT =
  '"sparsebak-receiver scrub" tells dom0 of it, and the next "sparsebak send" repairs it if it is in a volume’s ' +
  'newest session, and the volume still has this content. A session that nothing repairs can be pruned';

const UNREADABLE =
  'it cannot be read: check whether something else is in its place, and in the kernel’s log ("dmesg") whether ' +
  'the disk fails';

/** @param place within the archive or a volume; its last part is the damaged file */
export function remedyOf(place: string, kind: DamageKind): string {
  const file = basename(place);
  if (kind === 'unlisted') return CHECKSUMS;
  return BY_FILE.get(file) ?? (file === 'page' || CHUNK_FILE_NAME.test(file) ? CONTENT : UNREADABLE);
}

interface Remedied {
  readonly place: string;
  readonly remedy: string;
}

/** Each remedy once, with the files for which it applies. */
export function describeRemedies(damages: readonly Remedied[]): string {
  const places = new Map<string, string[]>();
  for (const { place, remedy } of damages) places.set(remedy, [...(places.get(remedy) ?? []), place]);
  const lines = [...places].map(([remedy, [first = '', ...others]]) => {
    const what = others.length === 0 ? first : `${first} and ${others.length} more`;
    return `  ${what}: ${remedy}\n`;
  });
  return lines.length === 0 ? '' : `What to do:\n${lines.join('')}`;
}
