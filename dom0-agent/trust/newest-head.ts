/** The head of the session that the catalogue lists as a volume's newest: all that changes the volume stands on it. */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import type { OpenArchive } from './open-archive.ts';
import type { ProvenSession } from './proven-reader.ts';

/** @returns undefined for a volume without sessions. @throws `integrity`, with what is to be done about it */
export async function newestHead(
  { reader }: OpenArchive,
  { id, name, session, head }: CatalogueVolume,
): Promise<ProvenSession | undefined> {
  if (session === null || head === null) return undefined;
  try {
    return await reader.head(id, session, head);
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (error.code !== 'integrity') throw error;
    throw newestHeadLost({ id, name, session }, error);
  }
}

export function newestHeadLost(
  { id, name, session }: Pick<CatalogueVolume, 'id' | 'name' | 'session'>,
  error: SparsebakError,
): SparsebakError {
  return new SparsebakError('integrity', `${name}: ${error.message}`, {
    hint:
      `It is the volume's newest session: nothing can be sent over it, and nothing older is taken away. If the file volumes/${id}/${session}/head ` +
      "is lost for good, move that session's folder out of the archive and send with --accept-rollback: older sessions stay what they are.",
    cause: error,
  });
}
