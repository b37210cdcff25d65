import type { ArchiveStore } from '../store/store.ts';

/** What earlier scrubs found, and damage of the catalogue and the key slots. No file of a volume is read or changed. */
export async function scrubState(
  archive: ArchiveStore,
): Promise<{ readonly since: number | undefined; readonly damaged: number }> {
  const { since, damages } = await archive.scrubFindings(Date.now());
  const objects = await archive.checkObjects(() => undefined);
  return { since, damaged: objects.length + damages.length };
}
