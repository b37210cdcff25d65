import type { ArchiveName } from '../../shared/archive/names.ts';
import type { ArchiveStore, Store } from '../store/store.ts';

/** Seconds to wait for a volume that another process works on. */
const LOCK_WAIT = 60;

/** Opens an archive for a command that answers nobody, and lets go of all its locks afterwards. */
export async function withArchive<T>(
  store: Store,
  name: ArchiveName,
  use: (archive: ArchiveStore) => Promise<T>,
): Promise<T> {
  const archive = await store.open(name, { seconds: LOCK_WAIT, signal: new AbortController().signal });
  try {
    return await use(archive);
  } finally {
    await archive.close();
  }
}
