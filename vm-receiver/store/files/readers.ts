/**
 * The volumes that one connection is reading. A few at a time: each holds an open file and its lock.
 */
import { join } from 'node:path';
import type { VolumeId } from '../../../shared/archive/names.ts';
import { attemptAsync } from '../refusal.ts';
import type { Patience } from '../store.ts';
import type { Disk } from './disk.ts';
import { volumeFolder } from './paths.ts';
import { VolumeReader } from './volume-reader.ts';

const AT_ONCE = 16;
/**
 * Milliseconds after which a volume is let go of and taken anew, between two requests: a restore of hours would otherwise
 * keep every commit waiting. What a session is stays the same whatever happens in between.
 */
const RENEWED_AFTER = 20_000;

export class VolumeReaders {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #chunkSize: number;
  readonly #patience: Patience;
  readonly #renewedAfter: number;
  readonly #open = new Map<VolumeId, VolumeReader>();

  constructor(disk: Disk, archive: string, chunkSize: number, patience: Patience, renewedAfter = RENEWED_AFTER) {
    this.#disk = disk;
    this.#archive = archive;
    this.#chunkSize = chunkSize;
    this.#patience = patience;
    this.#renewedAfter = renewedAfter;
  }

  /** Undefined where there is no such volume. */
  async get(volume: VolumeId): Promise<VolumeReader | undefined> {
    const known = this.#open.get(volume);
    if (known !== undefined && performance.now() - known.opened < this.#renewedAfter) return known;
    this.release(volume);
    const name = volumeFolder(volume);
    const path = join(this.#archive, name);
    if (this.#disk.kindOf(path) !== 'folder') return undefined;
    const reader = await attemptAsync(`read ${name}`, () =>
      VolumeReader.open(this.#disk, path, name, this.#chunkSize, this.#patience),
    );
    if (this.#open.size >= AT_ONCE) {
      for (const oldest of this.#open.keys()) {
        this.release(oldest);
        break;
      }
    }
    this.#open.set(volume, reader);
    return reader;
  }

  /** Lets go of the volume's lock; what is read later sees the volume anew. */
  release(volume: VolumeId): void {
    this.#open.get(volume)?.close();
    this.#open.delete(volume);
  }

  close(): void {
    for (const volume of [...this.#open.keys()]) this.release(volume);
  }
}
