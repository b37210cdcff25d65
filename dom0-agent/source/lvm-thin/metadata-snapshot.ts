/**
 * The reserved copy of a pool's metadata: what thin_delta reads while the pool is in use. A pool has at most one, any
 * program may reserve or release it, and it does not show its owner. So ours is recorded before it is reserved, and
 * again with the block where it begins, and that block is checked after everything was read: if it has changed, the
 * result is discarded.
 *
 * One process at a time reserves it, by a lock that the kernel drops when its holder dies. So a record that is found
 * under the lock was left by a killed run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeDurably, writeDurably } from '../../../shared/durable.ts';
import { SparsebakError, systemCode } from '../../../shared/errors.ts';
import * as z from '../../../shared/zod.ts';
import { acquireLock, type Lock } from '../../process/flock.ts';
import { deviceName } from './lvm-names.ts';
import { poolStatus, sendToPool } from './pool-status.ts';

/** Seconds: another sparsebak compares its volumes and finishes soon. */
const LOCK_SECONDS = 900;
const LOOK_AGAIN = 500;

export interface MetadataOptions {
  readonly group: string;
  readonly pool: string;
  /** The existing folder for the record and the lock. */
  readonly folder: string;
  /** Seconds to wait for a copy that another program has reserved. */
  readonly patience: number;
}

const record = z.strictObject({
  v: z.literal(1),
  /** The block where ours begins; null: it was about to be reserved. */
  held: z.nullable(z.int().check(z.minimum(0))),
});

/** A reserved copy, which the caller must release. */
export interface HeldMetadata {
  /** The device to read with thin_delta and thin_dump and their option -m. */
  readonly device: string;
  /** Whether it is still the same. */
  isSame(): Promise<boolean>;
  release(): Promise<void>;
}

export class MetadataSnapshot {
  readonly #options: MetadataOptions;
  readonly #pool: string;
  readonly #recordFile: string;

  constructor(options: MetadataOptions) {
    this.#options = options;
    this.#pool = deviceName(options.group, options.pool, '-tpool');
    this.#recordFile = join(options.folder, `${deviceName(options.group, options.pool)}.reserved.json`);
  }

  /** @throws `source` while another program has one reserved */
  async reserve(): Promise<HeldMetadata> {
    const lock = await this.#lock(LOCK_SECONDS);
    try {
      await this.#makeFree();
      this.#note(null);
      await this.#sendReserve();
      const { held } = await poolStatus(this.#pool);
      if (held === null) throw new SparsebakError('source', `${this.#pool}: the reserved metadata was released again`);
      this.#note(held);
      return this.#heldAt(held, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Releases what a killed run of ours left reserved. */
  async heal(): Promise<void> {
    if (this.#recorded() === undefined) return;
    let lock: Lock;
    try {
      lock = await this.#lock(0);
    } catch (error) {
      // A live run has it.
      if (error instanceof SparsebakError && error.code === 'locked') return;
      throw error;
    }
    try {
      await this.#makeFree();
    } finally {
      lock.release();
    }
  }

  async #sendReserve(): Promise<void> {
    try {
      await sendToPool(this.#pool, 'reserve_metadata_snap');
    } catch (error) {
      // Nothing of ours is reserved: a present reservation is another program's.
      removeDurably(this.#recordFile);
      throw error;
    }
  }

  #heldAt(held: number, lock: Lock): HeldMetadata {
    const isSame = async (): Promise<boolean> => (await poolStatus(this.#pool)).held === held;
    return {
      device: `/dev/mapper/${deviceName(this.#options.group, this.#options.pool, '_tmeta')}`,
      isSame,
      release: async () => {
        try {
          if (await isSame()) await sendToPool(this.#pool, 'release_metadata_snap');
          removeDurably(this.#recordFile);
        } finally {
          lock.release();
        }
      },
    };
  }

  /** Called with the lock: releases ours, waits for another program's. */
  async #makeFree(): Promise<void> {
    const ours = this.#recorded();
    const until = Date.now() + this.#options.patience * 1000;
    let { held } = await poolStatus(this.#pool);
    const isOurs = (): boolean => held !== null && ours?.held === held;
    while (held !== null && !isOurs() && Date.now() < until) {
      await delay(LOOK_AGAIN);
      ({ held } = await poolStatus(this.#pool));
    }
    if (held !== null) {
      // A run that was killed while it reserved could not record the block.
      if (!isOurs() && ours?.held !== null) throw this.#busy();
      await sendToPool(this.#pool, 'release_metadata_snap');
    }
    if (ours !== undefined) removeDurably(this.#recordFile);
  }

  #busy(): SparsebakError {
    const { group, pool } = this.#options;
    return new SparsebakError('source', `another program has reserved the metadata of the pool ${group}/${pool}`, {
      hint:
        'Try again when it is done (another backup, thin_dump, …). ' +
        `If nothing uses it: dmsetup message ${this.#pool} 0 release_metadata_snap`,
    });
  }

  async #lock(waitSeconds: number): Promise<Lock> {
    return await acquireLock(`${this.#recordFile}.lock`, { exclusive: true, waitSeconds });
  }

  #note(held: number | null): void {
    writeDurably(this.#recordFile, JSON.stringify({ v: 1, held }));
  }

  #recorded(): z.infer<typeof record> | undefined {
    let text: string;
    try {
      text = readFileSync(this.#recordFile, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      return record.parse(JSON.parse(text));
    } catch {
      // An unreadable record also means that ours was being reserved.
      return { v: 1, held: null };
    }
  }
}
