/** Where it is measured: a new Btrfs on a loop device, with the measured image in a subvolume of its own. */
import { execFile } from 'node:child_process';
import { mkdirSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loopFsSkip, mountLoopFs } from '../fixtures/loop-fs.ts';
import { scratchRoot } from '../fixtures/scratch.ts';
import { throwIfInterrupted } from './interrupt.ts';
import { Refusal } from './options.ts';

const run = promisify(execFile);
const GIB = 2 ** 30;

export interface Ground {
  /** The mount point, or any folder. */
  readonly folder: string;
  /** The folder of the image: on Btrfs a subvolume. */
  readonly volumes: string;
  readonly image: string;
  /** A small file beside the image. `touchNeighbour` changes it. */
  readonly neighbour: string;
  /** Writes everything to the disk. */
  readonly flush: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** @throws {Refusal} where no Btrfs can be mounted */
export function refuseWithoutBtrfs(): void {
  const skip = loopFsSkip('btrfs');
  if (skip !== false) {
    throw new Refusal(
      `a Btrfs file system on a loop device is needed, and there can be none (${skip.replace('machine: ', '')})`,
    );
  }
}

/** @throws {Refusal} if the disk of the scratch folders has less room than these bytes */
export function refuseWithoutRoom(bytes: number): void {
  const { bavail, bsize } = statfsSync(scratchRoot());
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new Refusal(
    `the disk of ${scratchRoot()} has ${gib(free)} GiB free, and ${gib(bytes)} GiB are needed: free some, measure a ` +
      'smaller image (--size), or set SPARSEBAK_TEST_DIR to a folder on another disk',
  );
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}

/** What so many archives of an image take at most, with the image, its snapshots and one restored copy. */
export function roomFor(size: number, archives: number): number {
  return Math.ceil(size * 0.8 * (archives + 3)) + GIB;
}

/** @param bytes of the file system; only what is written takes room */
export async function mountGround(bytes: number): Promise<Ground> {
  throwIfInterrupted();
  const loop = await mountLoopFs({ type: 'btrfs', size: bytes });
  try {
    const volumes = join(loop.dir, 'volumes');
    await run('btrfs', ['subvolume', 'create', volumes]);
    const flush = async () => {
      await run('sync', ['-f', loop.dir]);
    };
    return groundIn(loop.dir, flush, () => loop.unmount());
  } catch (error) {
    await loop.unmount();
    throw error;
  }
}

/** In a folder that has, or gets, a folder `volumes`. */
export function groundIn(folder: string, flush: () => Promise<void>, remove: () => Promise<void>): Ground {
  const volumes = join(folder, 'volumes');
  mkdirSync(volumes, { recursive: true });
  const ground = {
    folder,
    volumes,
    image: join(volumes, 'volume.img'),
    neighbour: join(volumes, 'neighbour'),
    flush,
    remove,
  };
  touchNeighbour(ground);
  return ground;
}

/**
 * To be called after each change of the image. borg never remembers the file that was changed last, and would read the
 * only image of an archive again each time, which it does not with the many images that people have.
 */
export function touchNeighbour(ground: Ground): void {
  writeFileSync(ground.neighbour, `${Date.now()}\n`);
}

/** Bytes that are allocated to the file. */
export function dataIn(path: string): number {
  return statSync(path).blocks * 512;
}

/** Bytes that are allocated to the files below a folder, each hard link once. */
export async function allocatedIn(folder: string): Promise<number> {
  const { stdout } = await run('du', ['--summarize', '--block-size=1', folder]);
  return Number(stdout.split('\t')[0]);
}

/**
 * Makes every tool find the same: nothing unwritten of another one, and what it reads in the kernel's cache.
 */
export async function settle(ground: Ground, read: readonly string[]): Promise<void> {
  throwIfInterrupted();
  await ground.flush();
  await run('sh', ['-c', 'find "$@" -type f -exec cat {} + > /dev/null', 'sh', ...read]);
  throwIfInterrupted();
}

/** @throws if one byte differs */
export async function compareBytes(restored: string, image: string, whose: string): Promise<void> {
  throwIfInterrupted();
  try {
    await run('cmp', [restored, image]);
  } catch (error) {
    throwIfInterrupted();
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    // Any other status: it could not compare.
    if (code !== 1) throw error;
    throw new Error(
      `${whose} restored something else than it had saved: ${(stdout + stderr).trim()}. Nothing measured here counts.`,
      { cause: error },
    );
  }
}
