/**
 * One volume being read: its shared lock, held until the reader closes, and its sessions as they are under that lock. Commit, prune and delete hold the lock alone, so nothing moves while we read.
 */
import type { SessionName } from '../../../shared/archive/names.ts';
import type { Patience } from '../store.ts';
import type { Disk } from './disk.ts';
import { FolderLock } from './lock.ts';
import { Overlay } from './overlay.ts';
import { listSessions, type StoredSession } from './sessions.ts';

/** Overlays kept: that of the session being read, and that of the base of a send. */
const OVERLAYS = 2;

export class VolumeReader {
  readonly #disk: Disk;
  readonly #chunkSize: number;
  readonly #lock: FolderLock;
  /** Oldest first, hidden ones included. */
  readonly sessions: readonly StoredSession[];
  /** When, on the clock of `performance.now`. */
  readonly opened = performance.now();
  readonly #overlays = new Map<string, Overlay>();

  private constructor(disk: Disk, chunkSize: number, lock: FolderLock, sessions: readonly StoredSession[]) {
    this.#disk = disk;
    this.#chunkSize = chunkSize;
    this.#lock = lock;
    this.sessions = sessions;
  }

  static async open(
    disk: Disk,
    path: string,
    name: string,
    chunkSize: number,
    patience: Patience,
  ): Promise<VolumeReader> {
    const lock = await FolderLock.take(disk, path, 'shared', name, patience);
    try {
      return new VolumeReader(disk, chunkSize, lock, listSessions(disk, path, name));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The session's own folder; undefined when it is not there, or hidden. */
  session(name: SessionName): StoredSession | undefined {
    return this.sessions.find((each) => each.session === name && !each.hidden);
  }

  /** The volume as it is at that session; undefined when there is no such session. */
  at(name: SessionName): Overlay | undefined {
    return this.session(name) === undefined ? undefined : this.#overlay(name);
  }

  /** The volume with all its sessions over one another. */
  get all(): Overlay {
    return this.#overlay(this.sessions.at(-1)?.session ?? '');
  }

  #overlay(upTo: string): Overlay {
    const known = this.#overlays.get(upTo);
    if (known !== undefined) return known;
    if (this.#overlays.size >= OVERLAYS) this.#overlays.clear();
    const sessions = this.sessions.filter(({ session }) => session <= upTo);
    const overlay = new Overlay(this.#disk, this.#chunkSize, sessions);
    this.#overlays.set(upTo, overlay);
    return overlay;
  }

  close(): void {
    this.#lock.release();
  }
}
