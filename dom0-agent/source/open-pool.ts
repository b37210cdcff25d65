/** The folder of a pool, held: its path is the configuration's, but folders on the way may be others'. */
import type { Held } from './held.ts';
import { checkPoolFolder } from './pool-folder.ts';
import { openFolder } from './walk.ts';

/** To be closed. @throws `source` where it is not there, or a link on its way is not followed */
export async function openPoolFolder(path: string): Promise<Held> {
  await checkPoolFolder(path);
  return await openFolder(path, 'source');
}
