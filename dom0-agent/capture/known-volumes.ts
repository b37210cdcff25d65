/** Volumes that existed before, by this computer's records. */
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { Pool } from './pools.ts';

/** Volumes with sessions in an archive. The catalogue does not say in which pool they were; the configuration does. */
export function knownToArchive(volumes: readonly CatalogueVolume[]): (pool: Pool) => readonly string[] {
  const names = volumes.filter(({ state, session }) => state === 'active' && session !== null).map(({ name }) => name);
  return () => names;
}

/** Volumes whose changes since a session are recorded. An unreadable record fails later, when it is used. */
export function knownToPool({ store, pool }: Pool): readonly string[] {
  try {
    const states = store.list().flatMap((known) => (known.kind === 'paired' ? [known.state] : []));
    return states.filter((state) => state.pool === pool).map(({ volume }) => volume);
  } catch {
    return [];
  }
}
