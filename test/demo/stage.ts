// Where the demo plays: scratch folders, and for root a file system with reflinks on a loop device. All of it goes at
// the end, however the end comes; what a killed run left is swept by the next.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loopFsSkip, mountLoopFs, type LoopFsType } from '../fixtures/loop-fs.ts';
import { makeScratch, removeScratch, sweepScratch } from '../fixtures/scratch.ts';

export interface Stage {
  /** `reflink`: snapshots share blocks; `file`: every send compares the whole volume. */
  readonly pool: 'reflink' | 'file';
  /** What a person is told. */
  readonly about: string;
  /** The pool's folder. */
  readonly volumes: string;
  /** On the same file system as the pool, but no part of it: copies there cost nothing with reflinks. */
  readonly copies: string;
  /** Everything else. */
  readonly folder: string;
  /** A second call does nothing. */
  close(): Promise<void>;
}

const IMAGE_BYTES = 4 * 2 ** 30;

export function sweepOldStages(): readonly string[] {
  return sweepScratch();
}

export async function openStage(): Promise<Stage> {
  const folder = makeScratch('demo');
  const type = (['xfs', 'btrfs'] as const).find((each) => loopFsSkip(each) === false);
  try {
    return type === undefined ? plainStage(folder) : await reflinkStage(folder, type);
  } catch (error) {
    removeScratch(folder);
    throw error;
  }
}

function plainStage(folder: string): Stage {
  return {
    pool: 'file',
    about: `plain files, since ${reasonOf(loopFsSkip('xfs') || 'there is no file system with reflinks')}: every send reads the whole volume`,
    ...foldersIn(folder),
    folder,
    close: async () => {
      removeScratch(folder);
    },
  };
}

async function reflinkStage(folder: string, type: LoopFsType): Promise<Stage> {
  const fs = await mountLoopFs({ type, size: IMAGE_BYTES });
  return {
    pool: 'reflink',
    about: `${type === 'xfs' ? 'XFS' : 'Btrfs'} on a loop device`,
    ...foldersIn(fs.dir),
    folder,
    close: async () => {
      // First what may be mounted from a file on the other.
      removeScratch(folder);
      await fs.unmount();
    },
  };
}

function foldersIn(parent: string): Pick<Stage, 'volumes' | 'copies'> {
  const [volumes, copies] = [join(parent, 'volumes'), join(parent, 'copies')];
  mkdirSync(join(volumes, 'work'), { recursive: true });
  mkdirSync(copies);
  return { volumes, copies };
}

function reasonOf(skip: string): string {
  return skip.replace(/^machine: /, '');
}
