/** The catalogue that lists the heads that a send has committed. */
import type { PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import type { Catalogue, CatalogueVolume } from '../content/catalogue.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';
import { successorOf, type HashedCatalogue } from '../proven-archive/succession.ts';

/** A head that the receiver has committed. */
export interface NewHead {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly session: SessionName;
  readonly hash: Uint8Array;
  readonly pairing: PairingId;
  readonly tags: readonly string[];
}

export function catalogueWith(
  current: HashedCatalogue,
  state: ArchiveState,
  sequence: number,
  heads: readonly NewHead[],
): Catalogue {
  const volumes = new Map(current.catalogue.volumes.map((volume) => [volume.id, volume]));
  for (const head of heads) {
    const before = volumes.get(head.volumeId);
    // The end of an old send must not bring back a deleted volume.
    if (before?.state === 'deleted') continue;
    const entry: CatalogueVolume = {
      id: head.volumeId,
      name: before?.name ?? head.name,
      state: 'active',
      session: head.session,
      head: head.hash,
      tags: {
        ...before?.tags,
        ...(head.tags.length === 0 ? {} : { [head.session]: [...head.tags] }),
      },
    };
    volumes.set(head.volumeId, entry);
  }
  return successorOf(current, { writer: state.settings.writer, sequence, volumes: [...volumes.values()] });
}
