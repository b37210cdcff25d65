/** Volumes that were there once, by what this computer noted of them. */
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { Pool } from './pools.ts';

/**
 * Those that have sessions in an archive. Which pool they were in the catalogue does not say: the configuration does.
 */
export function knownToArchive(volumes: readonly CatalogueVolume[]): (pool: Pool) => readonly string[] {
  const names = volumes.filter(({ state, session }) => state === 'active' && session !== null).map(({ name }) => name);
  return () => names;
}

/** Those whose changes since a session are noted. What cannot be read fails where it is used. */
export function knownToPool({ store, pool }: Pool): readonly string[] {
  try {
    const states = store.list().flatMap((known) => (known.kind === 'paired' ? [known.state] : []));
    return states.filter((state) => state.pool === pool).map(({ volume }) => volume);
  } catch {
    return [];
  }
}
