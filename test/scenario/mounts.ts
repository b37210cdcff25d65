// The file systems that scenarios stand on: one mount for a test file, a folder of it for each pool.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { loopFsSkip, mountLoopFs, type LoopFs, type LoopFsType } from '../fixtures/loop-fs.ts';
import { makeScratch } from '../fixtures/scratch.ts';

export interface Mounts {
  /** For tests that need it: why they cannot run here. */
  readonly skip: string | false;
  /** A new empty folder. */
  folder(): string;
}

/** To be called at the top of a test file. `plain`: wherever scratch folders go. */
export function ground(type: Exclude<LoopFsType, 'ext4'> | 'plain', size = 2 ** 30): Mounts {
  const skip = type === 'plain' ? false : loopFsSkip(type);
  let root = '';
  let fs: LoopFs | undefined;
  let folders = 0;
  before(async () => {
    if (skip !== false) return;
    if (type === 'plain') root = makeScratch('pools');
    else {
      fs = await mountLoopFs({ type, size });
      root = fs.dir;
    }
  });
  after(async () => {
    if (fs !== undefined) await fs.unmount();
    else if (root !== '') rmSync(root, { recursive: true, force: true });
  });
  return {
    skip,
    folder: () => {
      const folder = join(root, `pool-${String(folders++)}`);
      mkdirSync(folder);
      return folder;
    },
  };
}
