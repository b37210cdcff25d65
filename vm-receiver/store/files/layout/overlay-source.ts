/**
 * Finds the session from which a volume has a chunk or page: the newest that has the file, or had it according to its
 * checksums.
 */
import { join } from 'node:path';
import { findChecksums } from './checksums.ts';
import type { Disk } from '../disk/disk.ts';
import type { StoredSession } from './sessions.ts';

export interface OverlaySource {
  readonly session: StoredSession;
  /** The range's folder in it. */
  readonly folder: string;
  /** The file's checksum; undefined if not known. */
  readonly sum: string | undefined;
}

type Sums = ReadonlyMap<string, string>;

export class OverlaySources {
  readonly #disk: Disk;
  /** Newest first. */
  readonly #sessions: readonly StoredSession[];
  /** Cached for the last requested range, by the session's path: requests come range by range. */
  #range = '';
  #sums = new Map<string, Sums | undefined>();

  /** `sessions`: those of the overlay, oldest first. */
  constructor(disk: Disk, sessions: readonly StoredSession[]) {
    this.#disk = disk;
    this.#sessions = sessions.toReversed();
  }

  /** `range` and `file` are names. */
  find(range: string, file: string): OverlaySource | undefined {
    for (const session of this.#sessions) {
      const folder = join(session.path, range);
      const sums = this.#sumsOf(session, range, folder);
      const sum = sums?.get(file);
      if (sum !== undefined || (sums !== undefined && this.#disk.kindOf(join(folder, file)) !== undefined)) {
        return { session, folder, sum };
      }
    }
    return undefined;
  }

  /** Undefined if the session has no such range. */
  #sumsOf({ path }: StoredSession, range: string, folder: string): Sums | undefined {
    if (range !== this.#range) {
      this.#range = range;
      this.#sums = new Map();
    }
    if (!this.#sums.has(path)) {
      const isThere = this.#disk.kindOf(folder) === 'folder';
      this.#sums.set(path, isThere ? (findChecksums(this.#disk, folder)?.sums ?? new Map()) : undefined);
    }
    return this.#sums.get(path);
  }
}
