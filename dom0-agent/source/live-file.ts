/**
 * A file that is read while it is in its place: whether it stayed the same is told by its size and times, so these have to be
 * taken when they can be trusted.
 */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SparsebakError } from '../../shared/errors.ts';
import type { SnapshotRef } from './source.ts';

/** All that a write, a truncation or a replacement changes. Times in nanoseconds, as text: they don't fit a number. */
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
 * The state of an open file, after which any write shows. What a program wrote through a memory mapping counts only once it
 * has been flushed, hence the sync.
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

/** Throws unless the file at this path is in that state. */
export async function checkUnchanged(path: string, name: string, binding: SnapshotRef['binding']): Promise<void> {
  const changes = await changesOf(path, binding);
  if (changes === undefined) return;
  throw new SparsebakError('source', `${name}: ${changes} while it was read`, {
    hint: 'Nothing of it was backed up. Try again when nothing writes to it.',
  });
}

/** What happened to the file at this path since, or undefined. */
export async function changesOf(path: string, binding: SnapshotRef['binding']): Promise<string | undefined> {
  let now: FileState;
  try {
    now = stateOf(await stat(path, { bigint: true }));
  } catch {
    return 'it went away';
  }
  if (now.device !== binding.device || now.inode !== binding.inode) return 'it was replaced';
  if (now.bytes !== binding.bytes) return 'its size changed';
  if (now.modified !== binding.modified || now.changed !== binding.changed) return 'it was written to';
  return undefined;
}
