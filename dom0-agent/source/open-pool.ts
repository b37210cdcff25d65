/**
 * A pool that is a folder, held while its files are looked up. Both types of such pools accept the same files: those
 * without a symbolic link on their path, and with `follow_symlinks` also those behind a link that root or the owner of
 * its target made.
 */
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { SparsebakError } from '../../shared/errors.ts';
import type { Held } from './held-file.ts';
import { checkPoolFolder, checkVolumeName } from './pool-folder.ts';
import { openFolder, walk } from './walk.ts';

export interface PoolFolder {
  readonly path: string;
  readonly followSymlinks: boolean;
}

export type FoundFile =
  /** To be closed. */
  | { readonly kind: 'found'; readonly held: Held }
  | { readonly kind: 'missing' }
  | { readonly kind: 'left out'; readonly reason: string };

export class OpenPool {
  readonly path: string;
  readonly root: Held;
  readonly followsLinks: boolean;

  private constructor({ path, followSymlinks }: PoolFolder, root: Held) {
    this.path = path;
    this.root = root;
    this.followsLinks = followSymlinks;
  }

  /** @throws `source` if the folder does not exist, or a link on its path is not followed */
  static async open(pool: PoolFolder): Promise<OpenPool> {
    await checkPoolFolder(pool.path);
    return new OpenPool(pool, await openFolder(pool.path, 'source'));
  }

  /** @param name of a volume, or of a folder in the pool */
  async find(name: string): Promise<FoundFile> {
    const walked = await walk({ from: this.root, path: name, links: this.followsLinks ? 'trusted' : 'none' });
    switch (walked.kind) {
      case 'found':
        return walked;
      case 'missing':
        return walked.linked ? { kind: 'left out', reason: 'it is a symbolic link to nothing' } : walked;
      case 'refused': {
        const which = walked.isLast ? 'it is a symbolic link' : 'a folder on the way to it is a symbolic link';
        const why = this.followsLinks ? ` that is not followed: ${walked.reason}` : `, ${NOT_FOLLOWED}`;
        return { kind: 'left out', reason: `${which}${why}` };
      }
    }
  }

  /** Opens a volume's file for reading; undefined if there is none. @throws `source` if it is not a volume */
  async openFile(name: string): Promise<FileHandle | undefined> {
    checkVolumeName(name);
    const found = await this.find(name);
    if (found.kind === 'missing') return undefined;
    if (found.kind === 'left out') throw new SparsebakError('source', `${name}: ${found.reason}`);
    try {
      if (!found.held.stats.isFile()) throw new SparsebakError('source', `${name}: not a regular file`);
      return await found.held.open(constants.O_RDONLY | constants.O_NONBLOCK);
    } finally {
      found.held.close();
    }
  }

  close(): void {
    this.root.close();
  }
}

export const NOT_FOLLOWED = 'and the pool has no follow_symlinks = true';

export async function withPool<T>(pool: PoolFolder, work: (open: OpenPool) => Promise<T>): Promise<T> {
  const open = await OpenPool.open(pool);
  try {
    return await work(open);
  } finally {
    open.close();
  }
}
