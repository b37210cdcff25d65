/**
 * A session being made in a folder of its own, and its commit: one rename (docs/protocol.md, section 4).
 */
import { join } from 'node:path';
import { CHUNKS_PER_RANGE, Geometry } from '../../../../shared/archive/address.ts';
import { SendOrder } from '../../send-order.ts';
import { Refusal, attempt, attemptAsync } from '../../refusal.ts';
import type { Send, SendRequest } from '../../store.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { checkBase } from './check-base.ts';
import { CHECKPOINT, CHECKSUMS, HEAD, INDEX, SIZE, STATS, VOLUMES, VOLUME_NAME } from '../layout/paths.ts';
import type { VolumePlace } from '../layout/volume-place.ts';
import { checksumLine, checksumOf } from '../layout/checksums.ts';
import { DedupStore } from '../dedup/dedup-store.ts';
import { RangeWriter, type Counts } from './range-writer.ts';
import { writeNew } from '../disk/small-file.ts';
import { newTally, dedupSession } from '../dedup/dedup.ts';
import { describeSize } from '../layout/size-file.ts';
import { describeStats, type Stats } from '../layout/session-stats.ts';
import type { SpaceWatch } from '../disk/free-space.ts';
import type { UnfinishedSend } from './unfinished-sends.ts';
import { Unsynced } from '../disk/unsynced.ts';
import { ZeroRuns } from './zero-run.ts';

export class FilesSend implements Send {
  readonly #place: VolumePlace;
  readonly #request: SendRequest;
  readonly #folder: UnfinishedSend;
  readonly #order: SendOrder;
  readonly #writer: RangeWriter;
  readonly #unsynced: Unsynced;
  readonly #zeroRuns: ZeroRuns;
  readonly #dedupStore: DedupStore | undefined;
  #hasCheckpoint: boolean;

  /** `from`: the checkpoint at which it resumes, undefined for a new one. */
  constructor(
    place: VolumePlace,
    request: SendRequest,
    folder: UnfinishedSend,
    space: SpaceWatch,
    from: number | undefined,
    counts: Counts,
  ) {
    const { disk, archive, chunkSize, dedup } = place;
    this.#place = place;
    this.#request = request;
    this.#folder = folder;
    this.#hasCheckpoint = from !== undefined;
    this.#order = new SendOrder(new Geometry(chunkSize, request.size), from ?? 0);
    this.#dedupStore = dedup ? DedupStore.open(disk, archive, true) : undefined;
    this.#unsynced = new Unsynced(disk);
    this.#writer = new RangeWriter(place, folder, space, this.#dedupStore, this.#unsynced, counts);
    this.#zeroRuns = new ZeroRuns(disk, chunkSize);
  }

  chunk(address: number, data: Uint8Array): void {
    this.#order.chunk(address);
    this.#writer.chunk(Math.floor(address / (this.#place.chunkSize * CHUNKS_PER_RANGE)), address, data);
  }

  async zeros(address: number, count: number): Promise<void> {
    this.#order.zeros(address, count);
    await this.#place.readers.using(this.#request.volume, async (reader) => {
      if (reader === undefined) throw new Refusal('conflict', `${this.#place.volumeName} was removed during the send`);
      await attemptAsync(`expand zeros in ${this.#folder.name}`, () =>
        this.#zeroRuns.each(reader, address, count, (range, at) => this.#writer.zeros(range, at)),
      );
    });
  }

  page(range: number, data: Uint8Array): void {
    this.#order.page(range);
    this.#writer.page(range, data);
  }

  async checkpoint(address: number): Promise<void> {
    this.#order.checkpoint(address);
    this.#writer.finish();
    await this.#makeDurable();
    attempt(`write the checkpoint of ${this.#folder.name}`, () => {
      writeCheckpoint(this.#place.disk, this.#folder.path, this.#request, address);
    });
    this.#hasCheckpoint = true;
  }

  async commit(head: Uint8Array, index: readonly Uint8Array[]): Promise<void> {
    const { readers, locks } = this.#place;
    this.#writer.finish();
    attempt(`write the head of ${this.#folder.name}`, () => this.#writeDescription(head, index));
    await this.#makeDurable();
    await this.#share();
    await attemptAsync(`commit ${this.#folder.name}`, () => locks.changing.during('alone', () => this.#commitAlone()));
    readers.forget(this.#request.volume);
    this.#folder.release();
  }

  /** After the sync: another session must never share data that is not durable yet. */
  async #share(): Promise<void> {
    const dedupStore = this.#dedupStore;
    if (dedupStore === undefined) return;
    const { path, name } = this.#folder;
    await attemptAsync(`deduplicate ${name}`, () => dedupSession(this.#place.disk, dedupStore, path, newTally()));
  }

  #commitAlone(): void {
    if (!this.#folder.isOurs) throw new Refusal('conflict', `${this.#folder.name} was removed by another receiver`);
    checkBase(this.#place, this.#request);
    this.#rename();
  }

  async abandon(keep: boolean): Promise<void> {
    const { name } = this.#folder;
    const isOurs = this.#folder.during(() => attempt(`look at ${name}`, () => this.#folder.isOurs));
    if (!isOurs || (keep && this.#hasCheckpoint)) this.#folder.release();
    else await this.#folder.discard();
  }

  /** Releases its lock in any state; already done if it has ended. */
  letGo(): void {
    this.#folder.release();
  }

  async #makeDurable(): Promise<void> {
    const { volume, archive } = this.#place;
    // Also the folders, each of which may be new.
    for (const path of [this.#folder.path, volume, join(archive, VOLUMES)]) this.#unsynced.add(path);
    await attemptAsync(`make ${this.#folder.name} durable`, () => this.#unsynced.sync(this.#folder.path));
  }

  /** Writes head, index, size, the receiver's own count, and the checksums of all but the count. */
  #writeDescription(head: Uint8Array, index: readonly Uint8Array[]): void {
    const { disk } = this.#place;
    const whole = Buffer.concat(index);
    const size = Buffer.from(describeSize(this.#request.size));
    const { files, zeros, storedBytes } = this.#writer.counts;
    const sizeBytes = this.#request.size;
    const stats: Stats = {
      ...{ sizeBytes, files, zeros, storedBytes: storedBytes + whole.length + head.length },
      committed: Date.now(),
    };
    const line = (file: string, bytes: Uint8Array) => checksumLine(checksumOf(bytes), file);
    const checksums = line(HEAD, head) + line(INDEX, whole) + line(SIZE, size);
    const write = (file: string, bytes: Uint8Array) => {
      const path = join(this.#folder.path, file);
      this.#unsynced.add(path);
      writeNew(disk, path, bytes);
    };
    write(HEAD, head);
    write(INDEX, whole);
    write(SIZE, size);
    write(STATS, Buffer.from(describeStats(stats)));
    write(CHECKSUMS, Buffer.from(checksums));
  }

  /** The commit itself. The session's content is already durable. */
  #rename(): void {
    const { disk, volume } = this.#place;
    if (this.#request.name !== null) disk.replace(join(volume, VOLUME_NAME), `${this.#request.name}\n`);
    disk.remove(join(this.#folder.path, CHECKPOINT));
    const session = join(volume, this.#request.session);
    disk.rename(this.#folder.path, session);
    try {
      disk.syncFolder(volume);
    } catch (error) {
      // The session is visible, but may be lost in a power cut, so nothing may build on it. Renaming it back is the
      // best option.
      try {
        disk.rename(session, this.#folder.path);
      } catch {
        // Then it stays as it is; it is not answered as committed in any case.
      }
      throw error;
    }
  }
}
