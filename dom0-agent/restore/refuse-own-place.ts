/** A volume that is restored into a folder of sparsebak's own would damage it, or be taken for a part of it. */
import { SparsebakError } from '../../shared/errors.ts';
import type { OwnPlace } from '../config/own-places.ts';
import { isSameFile, type FileIdentity, type Held } from '../source/held.ts';
import { walk } from '../source/walk.ts';

/** @throws `usage` where the folder is one of these, or lies below it, by whichever path it was reached */
export async function refuseOwnPlace(folder: Held, path: string, own: readonly OwnPlace[]): Promise<void> {
  const above = foldersAbove(folder);
  for (const { path: place, what } of own) {
    const walked = await walk({ path: place, links: 'trusted' }).catch(() => undefined);
    if (walked?.kind !== 'found') continue;
    const found = walked.held.stats;
    walked.held.close();
    if (!above.some((each) => isSameFile(each, found))) continue;
    throw new SparsebakError('usage', `${path} lies in ${what} (${place})`, {
      hint: 'Nothing is restored there. Name a path elsewhere.',
    });
  }
}

/** The folder itself, and all that it lies in. */
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
