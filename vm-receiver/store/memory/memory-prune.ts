/**
 * Taking a session away in memory: what it has and its successor lacks goes over to that, and the rest is gone.
 */
import { CHUNKS_PER_RANGE } from '../../../shared/archive/address.ts';
import type { SessionName } from '../../../shared/archive/names.ts';
import type { MemorySession, MemoryVolume } from './memory-send.ts';

/** Gives the bytes that are gone; 0 when there is no such session. It must not be the newest. */
export function pruneInMemory(volume: MemoryVolume, session: SessionName, chunkSize: number): number {
  const { sessions } = volume;
  const place = sessions.findIndex((each) => each.session === session);
  const pruned = sessions[place];
  const successor = sessions[place + 1];
  if (pruned === undefined || successor === undefined) return 0;
  const merged = merge(pruned, successor, chunkSize, place === 0);
  volume.sessions = sessions.with(place + 1, merged).toSpliced(place, 1);
  return storedBytes(pruned) + storedBytes(successor) - storedBytes(merged);
}

function merge(pruned: MemorySession, successor: MemorySession, chunkSize: number, isOldest: boolean): MemorySession {
  const chunks = new Map(successor.chunks);
  for (const [address, data] of pruned.chunks) {
    // Zeros hide what is older: where nothing is, there is nothing to hide.
    const needed = address < successor.size && !(isOldest && data.length === 0);
    if (needed && !chunks.has(address)) chunks.set(address, data);
  }
  const pages = new Map(successor.pages);
  for (const [range, data] of pruned.pages) {
    if (range * chunkSize * CHUNKS_PER_RANGE < successor.size && !pages.has(range)) pages.set(range, data);
  }
  return { ...successor, chunks, pages };
}

export function storedBytes({ head, index, chunks, pages }: MemorySession): number {
  return [head, ...index, ...chunks.values(), ...pages.values()].reduce((sum, { length }) => sum + length, 0);
}
