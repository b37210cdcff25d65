/**
 * One volume being read: its sessions under the readers' lock. Moving or removing files requires that lock exclusively,
 * so nothing moves while it is read.
 */
import type { SessionName } from '../../../../shared/archive/names.ts';
import type { Disk } from '../disk/disk.ts';
import { Overlay } from './overlay.ts';
import { listSessions, type StoredSession } from './sessions.ts';

/** Cached overlays: that of the session being read, and that of a send's base. */
const OVERLAYS = 2;

export class VolumeReader {
  readonly #disk: Disk;
  readonly #chunkSize: number;
  /** Oldest first, including hidden ones. */
  readonly sessions: readonly StoredSession[];
  readonly #overlays = new Map<string, Overlay>();

  /** @param name of the volume's folder, in errors */
  constructor(disk: Disk, path: string, name: string, chunkSize: number) {
    this.#disk = disk;
    this.#chunkSize = chunkSize;
    this.sessions = listSessions(disk, path, name);
  }

  /** The session's own folder; undefined if it is missing or hidden. */
  session(name: SessionName): StoredSession | undefined {
    return this.sessions.find((each) => each.session === name && !each.hidden);
  }

  /** The volume as it is at that session; undefined when there is no such session. */
  at(name: SessionName): Overlay | undefined {
    return this.session(name) === undefined ? undefined : this.#overlay(name);
  }

  /** The volume with all its sessions. */
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
}
