/** The names in an archive that this computer knows without asking for them: its pin, and the heads that it listed. */
import type { SessionName } from '../../../shared/archive/names.ts';
import type { CatalogueVolume } from '../../content/catalogue.ts';
import type { ArchiveState } from '../../proven-archive/archive-state.ts';
import { KnownHeads } from '../../proven-archive/known-heads.ts';
import { loadPinned } from '../../proven-archive/pinned-file.ts';

export function knownVolumes(state: ArchiveState): string[] {
  return active(state)
    .map(({ name }) => name)
    .sort();
}

/** Newest first. Sessions that this computer neither sent last, nor tagged, nor listed are not among them. */
export function knownSessions(state: ArchiveState, volume: string | undefined): string[] {
  const heads = new KnownHeads(state);
  const names = active(state, volume).flatMap(({ id, session, tags }) => [
    ...(session === null ? [] : [session]),
    ...Object.keys(tags),
    ...heads.sessions(id),
  ]);
  return names.sort().reverse();
}

/** Of one session, or of one volume, or all of them. */
export function knownTags(state: ArchiveState, volume: string | undefined, session: string | undefined): string[] {
  const volumes = active(state, volume);
  const tags = volumes.flatMap((each) =>
    session === undefined ? Object.values(each.tags).flat() : (each.tags[session as SessionName] ?? []),
  );
  return tags.sort();
}

function active(state: ArchiveState, name?: string): CatalogueVolume[] {
  const volumes = loadPinned(state, 'current')?.catalogue.volumes ?? [];
  return volumes.filter((each) => each.state === 'active' && (name === undefined || each.name === name));
}
