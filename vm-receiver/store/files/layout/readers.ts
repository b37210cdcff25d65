/**
 * The volumes that a connection is reading, each as it was when first read under the lock that all readers of the
 * archive share. Commits are possible meanwhile; moving or removing files waits for the readers.
 */
import { join } from 'node:path';
import type { SessionName, VolumeId } from '../../../../shared/archive/names.ts';
import { attemptAsync } from '../../refusal.ts';
import type { Disk } from '../disk/disk.ts';
import type { HeldLock } from '../disk/held-lock.ts';
import { volumeFolder } from './paths.ts';
import { VolumeReader } from './volume-reader.ts';

/** Volumes remembered. */
const AT_ONCE = 16;

export class VolumeReaders {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #chunkSize: number;
  readonly #lock: HeldLock;
  readonly #known = new Map<VolumeId, VolumeReader>();

  constructor(disk: Disk, archive: string, chunkSize: number, lock: HeldLock) {
    this.#disk = disk;
    this.#archive = archive;
    this.#chunkSize = chunkSize;
    this.#lock = lock;
    lock.onReleased = () => {
      this.#known.clear();
    };
  }

  /**
   * For short work: the lock is kept for some time. Undefined if there is no such volume.
   * @param session reads the volume again if it is not a known session: it may have been committed since
   */
  async get(volume: VolumeId, session?: SessionName): Promise<VolumeReader | undefined> {
    return await this.using(volume, (reader) => reader, session);
  }

  /** For long work: the lock is kept until it is done. */
  async using<T>(
    volume: VolumeId,
    work: (reader: VolumeReader | undefined) => T | Promise<T>,
    session?: SessionName,
  ): Promise<T> {
    return await attemptAsync(`read ${volumeFolder(volume)}`, () =>
      this.#lock.during('shared', () => {
        const known = this.#find(volume);
        const isUpToDate = session === undefined || known?.session(session) !== undefined;
        if (isUpToDate) return work(known);
        this.forget(volume);
        return work(this.#find(volume));
      }),
    );
  }

  #find(volume: VolumeId): VolumeReader | undefined {
    const known = this.#known.get(volume);
    if (known !== undefined) return known;
    const name = volumeFolder(volume);
    const path = join(this.#archive, name);
    if (this.#disk.kindOf(path) !== 'folder') return undefined;
    const reader = new VolumeReader(this.#disk, path, name, this.#chunkSize);
    if (this.#known.size >= AT_ONCE) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(volume, reader);
    return reader;
  }

  /** Later reads list the volume again. */
  forget(volume: VolumeId): void {
    this.#known.delete(volume);
  }
}
