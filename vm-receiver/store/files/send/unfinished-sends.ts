/**
 * Running and interrupted sends. The holder of the archive's lock for sending may write, keep or remove each of them:
 * no other running process owns one.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { PairingId } from '../../../../shared/archive/names.ts';
import { systemCode } from '../../../../shared/errors.ts';
import { Refusal, attemptAsync } from '../../refusal.ts';
import type { Disk } from '../disk/disk.ts';
import type { HeldLock } from '../disk/held-lock.ts';
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
} from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { removeSession } from '../prune/removal.ts';
import type { Counts } from './range-writer.ts';

export class UnfinishedSend {
  readonly #disk: Disk;
  readonly #archive: string;
  readonly #volume: string;
  readonly #sending: HeldLock;
  /** The folder, held open: another folder may get its name. */
  readonly #fd: number;
  #isHeld = true;
  readonly pairing: PairingId;
  readonly path: string;
  /** Within the archive, for messages. */
  readonly name: string;

  private constructor({ disk, archive, volume, volumeName, locks }: VolumePlace, pairing: PairingId, fd: number) {
    this.#disk = disk;
    this.#archive = archive;
    this.#volume = volume;
    this.#sending = locks.sending;
    this.#fd = fd;
    this.pairing = pairing;
    this.path = join(volume, unfinishedFolder(pairing));
    this.name = `${volumeName}/${unfinishedFolder(pairing)}`;
  }

  /**
   * The unfinished sends of a volume, one after another: waits for running senders. Those that were committed or
   * removed meanwhile are left out.
   */
  static async *claimAll(place: VolumePlace): AsyncGenerator<UnfinishedSend, void, undefined> {
    for (const folder of place.disk.list(place.volume)) {
      const pairing = pairingOf(folder);
      const claimed = pairing === undefined ? undefined : await UnfinishedSend.claim(place, pairing);
      if (claimed !== undefined) yield claimed;
    }
  }

  /** Creates an empty one. */
  static async make(place: VolumePlace, pairing: PairingId): Promise<UnfinishedSend> {
    const path = join(place.volume, unfinishedFolder(pairing));
    const made = await UnfinishedSend.#open(place, pairing, () => {
      place.disk.makeFolder(path);
    });
    if (made !== undefined) return made;
    throw new Refusal('conflict', `another receiver removed the new send in ${place.volumeName}`);
  }

  /** The one with that pairing id; undefined if there is none. */
  static async claim(place: VolumePlace, pairing: PairingId): Promise<UnfinishedSend | undefined> {
    const isThere = place.disk.kindOf(join(place.volume, unfinishedFolder(pairing))) === 'folder';
    return isThere ? await UnfinishedSend.#open(place, pairing, () => undefined) : undefined;
  }

  /** Opens it after the lock and `first`. */
  static async #open(place: VolumePlace, pairing: PairingId, first: () => void): Promise<UnfinishedSend | undefined> {
    const { sending } = place.locks;
    await sending.take('alone');
    try {
      first();
      const fd = place.disk.open(join(place.volume, unfinishedFolder(pairing)), 'folder');
      return new UnfinishedSend(place, pairing, fd);
    } catch (error) {
      sending.give();
      // Committed or removed by the process that we waited for.
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Runs a step; releases the send if it fails. */
  during<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Whether it is still the folder that was opened, and not another of the same name. */
  get isOurs(): boolean {
    const ours = this.#disk.entryOf(this.#fd);
    const there = this.#disk.entryAt(this.path);
    return there?.inode === ours.inode && there.device === ours.device;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#disk.close(this.#fd);
    this.#sending.give();
  }

  /**
   * Removes it durably and releases it. The checkpoint is removed first: the rest of an interrupted removal must never
   * be resumed.
   */
  async discard(): Promise<void> {
    try {
      await attemptAsync(`remove ${this.name}`, async () => {
        this.#disk.remove(join(this.path, CHECKPOINT));
        this.#disk.syncFolder(this.path);
        await removeSession(this.#disk, this.path, DedupStore.open(this.#disk, this.#archive, false));
        this.#disk.syncFolder(this.#volume);
      });
    } finally {
      this.release();
    }
  }

  /** Removes files at or above an address, and what a failed commit had begun to write. */
  async dropFrom(address: number): Promise<void> {
    await attemptAsync(`drop the end of ${this.name}`, async () => {
      for (const file of [HEAD, INDEX, SIZE, STATS, CHECKSUMS]) this.#disk.remove(join(this.path, file));
      for (const folder of this.#ranges()) {
        if (firstAddressOf(folder) >= address) await this.#disk.removeTree(join(this.path, folder));
      }
    });
  }

  /** Counts the files again: there may be millions. */
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
