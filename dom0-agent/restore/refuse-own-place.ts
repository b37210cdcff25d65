/** Refuses to restore into sparsebak's own folders: the volume would damage them, or be taken for a part of them. */
import { SparsebakError } from '../../shared/errors.ts';
import type { OwnPlace } from '../config/own-places.ts';
import { isSameFile, type FileIdentity, type Held } from '../source/held-file.ts';
import { walk } from '../source/walk.ts';

/** @throws `usage` if the folder is one of these or below one, by whichever path it was reached */
export async function refuseOwnPlace(folder: Held, path: string, own: readonly OwnPlace[]): Promise<void> {
  const above = foldersAbove(folder);
  for (const { path: place, what } of own) {
    const walked = await walk({ path: place, links: 'trusted' }).catch(() => undefined);
    if (walked?.kind !== 'found') continue;
    const found = walked.held.stats;
    walked.held.close();
    if (!above.some((each) => isSameFile(each, found))) continue;
    throw new SparsebakError('usage', `${path} is in ${what} (${place})`, {
      hint: 'Nothing is restored there. Choose a path elsewhere.',
    });
  }
}

/** The folder itself, and all folders that contain it. */
function foldersAbove(folder: Held): FileIdentity[] {
  const found: FileIdentity[] = [folder.stats];
  const parents: Held[] = [];
  try {
    for (let here = folder; ;) {
      const parent = here.child('..');
      if (parent === undefined) return found;
      parents.push(parent);
      if (isSameFile(parent.stats, here.stats)) return found;
      found.push(parent.stats);
      here = parent;
    }
  } finally {
    for (const parent of parents) parent.close();
  }
}
