/** What earlier scrubs found and is still so. Changes nothing; of the files, reads those known as damaged. */
import { join } from 'node:path';
import type { VolumeId } from '../../../../shared/archive/names.ts';
import { attemptAsync, isLoss } from '../../refusal.ts';
import type { DamageKind, ScrubFindings, VolumeDamage } from '../../store.ts';
import type { Disk } from '../disk/disk.ts';
import { findChecksums } from '../layout/checksums.ts';
import { inspectFile, listFolder } from '../layout/inspect-folder.ts';
import { CHECKSUMS, volumeFolder } from '../layout/paths.ts';
import type { StoredSession } from '../layout/sessions.ts';
import { formatStoredPath, parseStoredPath, sessionsDamagedBy } from '../layout/stored-path.ts';
import type { ArchivePlace } from '../layout/volume-place.ts';
import { ScrubState } from './scrub-state.ts';

/** @param now milliseconds since 1970: what was read later was read while a clock was wrong */
export async function scrubFindings(
  { disk, archive, readers }: ArchivePlace,
  volumes: readonly VolumeId[],
  now: number,
): Promise<ScrubFindings> {
  const damages: VolumeDamage[] = [];
  let since: number | undefined = now;
  for (const volume of volumes) {
    try {
      await attemptAsync(`read ${volumeFolder(volume)}`, async () => {
        const sessions = (await readers.get(volume))?.sessions ?? [];
        const state = ScrubState.load(disk, archive, volume);
        state.follow(sessions.map(({ session }) => session));
        for (const { session } of sessions) {
          const read = state.get(session).since;
          since = least(since, read !== undefined && read <= now ? read : undefined);
        }
        damages.push(...knownDamages(disk, volume, state, sessions));
      });
    } catch (error) {
      if (!isLoss(error)) throw error;
      since = undefined;
      damages.push(unreadable(volume));
    }
  }
  return { damages, since };
}

/** The remaining damage; damage that was pruned or repaired meanwhile is removed from the state, which is not saved. */
export function knownDamages(
  disk: Disk,
  volume: VolumeId,
  state: ScrubState,
  sessions: readonly StoredSession[],
): VolumeDamage[] {
  const damages: VolumeDamage[] = [];
  for (const text of [...state.damaged].sort()) {
    state.damaged.delete(text);
    const known = parseStoredPath(text);
    const holder = sessions.find(({ session }) => known !== undefined && session >= known.session);
    if (known === undefined || holder === undefined) continue;
    // A session's own files were removed with it.
    if (known.range === undefined && holder.session !== known.session) continue;
    const place = { ...known, session: holder.session };
    const folder = place.range === undefined ? holder.path : join(holder.path, place.range);
    const kind = damageNow(disk, folder, place.file);
    if (kind === undefined) continue;
    state.damaged.add(formatStoredPath(place));
    damages.push({
      volume,
      place: formatStoredPath(place),
      kind,
      sessions: sessionsDamagedBy(disk, sessions, place),
    });
  }
  return damages;
}

/** A volume that cannot be read at all. */
export function unreadable(volume: VolumeId): VolumeDamage {
  return { volume, place: '', kind: 'unreadable', sessions: [] };
}

export function damageNow(disk: Disk, folder: string, file: string): DamageKind | undefined {
  if (file === '') return listFolder(disk, folder).kind;
  if (file === CHECKSUMS) {
    const checksums = findChecksums(disk, folder);
    return checksums === undefined ? 'missing' : checksums.damaged ? 'corrupt' : undefined;
  }
  return inspectFile(disk, join(folder, file), findChecksums(disk, folder)?.sums.get(file)).kind;
}

export function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.min(a, b);
}
