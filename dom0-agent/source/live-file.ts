/**
 * A file that is read in place. Its size and times show whether it has changed, so they must be taken when they are
 * reliable.
 */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError } from '../../shared/errors.ts';
import { pathOfDescriptor } from './held-file.ts';
import { withPool, type PoolFolder } from './open-pool.ts';
import { checkVolumeName } from './pool-folder.ts';
import type { OpenSnapshot, SnapshotRef } from './source.ts';

/**
 * Everything that a write, a truncation or a replacement changes. Times in nanoseconds, as text: they do not fit a
 * number.
 */
export type FileState = Readonly<Record<'device' | 'inode' | 'bytes' | 'modified' | 'changed', string>>;

/** Kernels give times from a clock that ticks every 1 to 10 ms: a write in the same tick leaves no trace. */
const CLOCK_TICK_MS = 50;
const TRIES = 20;

function stateOf(stats: BigIntStats): FileState {
  return {
    device: String(stats.dev),
    inode: String(stats.ino),
    bytes: String(stats.size),
    modified: String(stats.mtimeNs),
    changed: String(stats.ctimeNs),
  };
}

/**
 * The state of an open file, after which any write shows. What a program wrote through a memory mapping counts only
 * once it has been flushed, hence the sync.
 */
export async function settledState(handle: FileHandle, name: string): Promise<FileState> {
  await handle.sync();
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const stats = await handle.stat({ bigint: true });
    if (Math.abs(Date.now() - Number(stats.ctimeMs)) > CLOCK_TICK_MS) return stateOf(stats);
    await delay(CLOCK_TICK_MS);
  }
  throw new SparsebakError('source', `${name}: is being written to`, {
    hint: 'Back it up when nothing writes to it, or from a pool that can snapshot it.',
  });
}

/** @param now the file found under its name @throws unless the file is in that state */
export function checkUnchanged(now: BigIntStats | undefined, name: string, binding: SnapshotRef['binding']): void {
  const changes = changesOf(now, binding);
  if (changes === undefined) return;
  throw new SparsebakError('source', `${name}: ${changes} while it was read`, {
    hint: 'Nothing of it was backed up. Try again when nothing writes to it.',
  });
}

/** What happened to the file since, or undefined. */
export function changesOf(now: BigIntStats | undefined, binding: SnapshotRef['binding']): string | undefined {
  if (now === undefined) return 'it was removed';
  const state = stateOf(now);
  if (state.device !== binding.device || state.inode !== binding.inode) return 'it was replaced';
  if (state.bytes !== binding.bytes) return 'its size changed';
  if (state.modified !== binding.modified || state.changed !== binding.changed) return 'it was written to';
  return undefined;
}

/** Opens a volume's file that is read in place: by descriptor, as long as its name leads to it. */
export async function openInPlace(
  pool: PoolFolder,
  name: string,
  { size, binding }: Pick<SnapshotRef, 'size' | 'binding'>,
): Promise<OpenSnapshot> {
  const handle = await withPool(pool, (open) => open.openFile(name));
  let isOpen = handle !== undefined;
  const check = async (): Promise<void> => {
    checkUnchanged(await handle?.stat({ bigint: true }), name, binding);
    checkUnchanged(await lookInPlace(pool, name), name, binding);
  };
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    try {
      await check();
    } finally {
      isOpen = false;
      await handle?.close();
    }
  };
  try {
    await check();
  } catch (error) {
    await handle?.close();
    throw error;
  }
  return { path: pathOfDescriptor(handle?.fd ?? -1), size, close };
}

/** The file that a volume's name leads to now, if the pool accepts it; undefined if there is none. */
export async function lookInPlace(pool: PoolFolder, name: string): Promise<BigIntStats | undefined> {
  checkVolumeName(name);
  return await withPool(pool, async (open) => {
    const found = await open.find(name);
    if (found.kind !== 'found') return undefined;
    found.held.close();
    return found.held.stats;
  }).catch(() => undefined);
}
