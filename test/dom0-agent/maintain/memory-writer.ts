// What a change to an archive works with, over an archive in memory: the writer, and a pool whose volumes are in memory
// and whose state lies in dom0's state folder.

import type { Pool } from '../../../dom0-agent/capture/pools.ts';
import { PairingStore } from '../../../dom0-agent/capture/pairing-store.ts';
import { unpaired } from '../../../dom0-agent/capture/pairing.ts';
import type { CatalogueVolume } from '../../../dom0-agent/content/catalogue.ts';
import type { Writer, WriterOptions } from '../../../dom0-agent/maintain/writer.ts';
import type { ArchiveId, PairingId, SessionName } from '../../../shared/archive/names.ts';
import type { ArchiveStore } from '../../../vm-receiver/store/store.ts';
import { silent, volumeId, type ArchiveInMemory } from '../../fixtures/archive-in-memory.ts';
import { MemorySource } from '../../fixtures/memory-source.ts';

export interface MemoryPool extends Pool {
  readonly source: MemorySource;
}

export function memoryPool({ stateDir }: ArchiveInMemory): MemoryPool {
  return {
    config: { type: 'reflink', path: '/nowhere', name: 'main' } as unknown as Pool['config'],
    pool: 'main',
    source: new MemorySource(stateDir),
    store: new PairingStore(stateDir),
    lock: { hold: (work) => work() },
    warn: () => undefined,
  };
}

/** Dom0 has a record of changes of the volume, for sends to that archive. */
export async function recordChanges({ store, pool }: MemoryPool, volume: string, archive: ArchiveId): Promise<void> {
  const pairing = 'ab'.repeat(16) as PairingId;
  const tick = { id: volumeId(volume), time: 1, size: 4096, state: 'stopped', binding: {} } as const;
  const file = `${archive}-${pairing}-1.map`;
  const map = { archive, pairing, file, hash: '0'.repeat(64), generation: 1, changedChunks: 0 };
  await store.save({ ...unpaired(pool, volume), tick, maps: [map] });
}

/** Volumes of which dom0 has a record. */
export function recorded({ store }: MemoryPool): string[] {
  return store.list().flatMap((known) => (known.kind === 'paired' ? [known.state.volume] : []));
}

/** As `withWriter` gives it to a command, over one call that may do everything. */
export async function writerOf(
  archive: ArchiveInMemory,
  changes: Partial<WriterOptions> & { readonly acceptFork?: boolean } = {},
): Promise<Writer> {
  const state = changes.state ?? archive.reopened();
  const { signal } = new AbortController();
  const options = { archive: archive.config, lockWait: 1, signal, log: silent, pools: [], ...changes, state };
  const open = await archive.open(options);
  return { ...options, onWait: () => undefined, open, maintenance: () => Promise.resolve(open.client) };
}

/** The archive's catalogue as it stands at the receiver, by volume name. */
export async function catalogued(archive: ArchiveInMemory): Promise<ReadonlyMap<string, CatalogueVolume>> {
  const { volumes } = archive.state.content.openCatalogue(await archive.shown());
  return new Map(volumes.map((entry) => [entry.name, entry]));
}

/** What the receiver has: each volume's sessions, a protected one with a star. */
export async function heldSessions(archive: ArchiveInMemory): Promise<Record<string, string[]>> {
  const store: ArchiveStore = await archive.stored();
  return Object.fromEntries(
    [...store.volumes()].map(({ volume, sessions }) => [
      volume,
      sessions.map(({ session, protected: star }): string => session + (star ? '*' : '')),
    ]),
  );
}

/** The same tags for one session, as a catalogue has them. */
export function tagged(entry: CatalogueVolume, tags: Readonly<Record<SessionName, string[]>>): CatalogueVolume {
  return { ...entry, tags: { ...entry.tags, ...tags } };
}
