import type { ArchiveName } from '../../shared/archive/names.ts';
import type { ArchiveStore, Store } from '../store/store.ts';

/** Seconds to wait for a volume that another process uses. */
const LOCK_WAIT = 60;

/** Opens an archive for a command without an agent, and releases all locks afterwards. */
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
