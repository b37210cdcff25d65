/** The head of the session that the catalogue lists as a volume's newest: every change to the volume is based on it. */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { OpenArchive } from './open-archive.ts';
import type { ProvenSession } from './proven-reader.ts';
import { namingVolume } from './volume-error.ts';

/**
 * @param volume a null `head` is not compared
 * @returns undefined for a volume without sessions
 * @throws `integrity`, with a hint
 */
export async function newestHead(
  { reader }: OpenArchive,
  { id, name, session, head }: Pick<CatalogueVolume, 'id' | 'name' | 'session' | 'head'>,
): Promise<ProvenSession | undefined> {
  if (session === null) return undefined;
  try {
    return await reader.head(id, session, head ?? undefined);
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (error.code !== 'integrity') throw error;
    throw newestHeadLost({ id, name, session }, error);
  }
}

export function newestHeadLost(
  { id, name, session }: Pick<CatalogueVolume, 'id' | 'name' | 'session'>,
  fault: SparsebakError,
): SparsebakError {
  const hint =
    `It is the volume's newest session: nothing can be sent over it, and its older sessions are not pruned. ` +
    `If the file volumes/${id}/${session}/head ` +
    "is permanently lost, move that session's folder out of the archive and send with --accept-rollback: older " +
    'sessions stay as they are.';
  const { code, message } = fault;
  const bare = new SparsebakError(code, message, { cause: fault });
  return namingVolume(bare, { id, name, session: session ?? undefined, hint });
}
