import type { ArchiveStore } from '../store/store.ts';
import type { Settings } from './settings.ts';

/** What earlier scrubs found. Nothing is read. */
export async function scrubState(
  archive: ArchiveStore,
  { scrubEvery }: Settings,
): Promise<{ readonly since: number | undefined; readonly damaged: number }> {
  const now = Date.now();
  const { since, objects, damages } = await archive.scrub({
    ...{ now, before: now - scrubEvery, renewChecksums: false },
    more: () => false,
    file: () => Promise.resolve(),
  });
  return { since, damaged: objects.filter(({ repaired }) => !repaired).length + damages.length };
}
