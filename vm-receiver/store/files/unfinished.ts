/**
 * Folders of sends that are under way or were cut off. Whoever holds such a folder's lock may write, keep or remove it;
 * one whose lock is free belongs to nobody that lives.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../shared/archive/address.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { systemCode } from '../../../shared/errors.ts';
import { Refusal, attemptAsync } from '../refusal.ts';
import type { Disk } from './disk.ts';
import { FolderLock } from './lock.ts';
import {
  CHECKPOINT,
  CHECKSUMS,
  HEAD,
  INDEX,
  PAGE,
  SIZE,
  STATS,
  firstAddressOf,
  pairingOf,
  unfinishedFolder,
} from './paths.ts';
import type { VolumePlace } from './place.ts';
import { Pool } from './pool.ts';
import { removeSession } from './removal.ts';
import type { Counts } from './range-writer.ts';

export class UnfinishedSend {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #volume: string;
  readonly #lock: FolderLock;
  readonly pairing: PairingId;
  readonly path: string;
  /** Within the archive, for messages. */
  readonly name: string;

  private constructor({ disk, archive, volume, volumeName }: VolumePlace, pairing: PairingId, lock: FolderLock) {
    this.#disk = disk;
    this.#archive = archive;
    this.#volume = volume;
    this.#lock = lock;
    this.pairing = pairing;
    this.path = join(volume, unfinishedFolder(pairing));
    this.name = `${volumeName}/${unfinishedFolder(pairing)}`;
  }

  /**
   * Those of a volume, one after another, each locked: waits for a sender that lives. One that was committed or removed
   * meanwhile is left out.
   */
  static async *claimAll(place: VolumePlace): AsyncGenerator<UnfinishedSend, void, undefined> {
    for (const folder of place.disk.list(place.volume)) {
      const pairing = pairingOf(folder);
      const claimed = pairing === undefined ? undefined : await UnfinishedSend.claim(place, pairing);
      if (claimed !== undefined) yield claimed;
    }
  }

  /** Makes an empty one and locks it. */
  static async make(place: VolumePlace, pairing: PairingId): Promise<UnfinishedSend> {
    place.disk.makeFolder(join(place.volume, unfinishedFolder(pairing)));
    const made = await UnfinishedSend.claim(place, pairing);
    if (made !== undefined) return made;
    throw new Refusal('conflict', `another receiver removed the new send in ${place.volumeName}`);
  }

  /** Locks the one of that name; undefined where there is none. */
  static async claim(place: VolumePlace, pairing: PairingId): Promise<UnfinishedSend | undefined> {
    const { disk, volume, volumeName, patience } = place;
    const path = join(volume, unfinishedFolder(pairing));
    if (disk.kindOf(path) !== 'folder') return undefined;
    let lock: FolderLock;
    try {
      lock = await FolderLock.take(disk, path, 'alone', `a send in ${volumeName}`, patience);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    const send = new UnfinishedSend(place, pairing, lock);
    if (send.during(() => send.isOurs)) return send;
    send.release();
    return undefined;
  }

  /** A step after whose failure it is let go of. */
  during<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Whether it is still the folder that was locked, and not another of the same name. */
  get isOurs(): boolean {
    return this.#lock.isAt(this.path);
  }

  release(): void {
    this.#lock.release();
  }

  /**
   * Removes it durably and lets go of it. The checkpoint goes first: what is left of a removal that was cut off must never
   * be resumed.
   */
  async discard(): Promise<void> {
    try {
      await attemptAsync(`remove ${this.name}`, async () => {
        this.#disk.remove(join(this.path, CHECKPOINT));
        this.#disk.syncFolder(this.path);
        await removeSession(this.#disk, this.path, Pool.open(this.#disk, this.#archive, false));
        this.#disk.syncFolder(this.#volume);
      });
    } finally {
      this.release();
    }
  }

  /** Removes what lies at or above an address, and what a commit that failed had begun to write. */
  async dropFrom(address: number): Promise<void> {
    await attemptAsync(`drop the end of ${this.name}`, async () => {
      for (const file of [HEAD, INDEX, SIZE, STATS, CHECKSUMS]) this.#disk.remove(join(this.path, file));
      for (const folder of this.#ranges()) {
        if (firstAddressOf(folder) >= address) await this.#disk.removeTree(join(this.path, folder));
      }
    });
  }

  /** What is there, counted anew: it may be millions of files. */
  async count(): Promise<Counts> {
    const counts: Counts = { files: 0, zeros: 0, storedBytes: 0 };
    for (const folder of this.#ranges()) {
      const range = join(this.path, folder);
      for (const file of this.#disk.list(range)) {
        const size = this.#disk.entryAt(join(range, file))?.size ?? 0;
        if (file === PAGE) counts.storedBytes += size;
        if (!CHUNK_FILE_NAME.test(file)) continue;
        counts.files += 1;
        counts.storedBytes += size;
        if (size === 0) counts.zeros += 1;
      }
      await nextTurn();
    }
    return counts;
  }

  #ranges(): string[] {
    return this.#disk.list(this.path).filter((name) => RANGE_FOLDER_NAME.test(name));
  }
}
