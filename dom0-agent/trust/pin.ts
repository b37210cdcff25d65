/**
 * The pin: the catalogue that dom0 keeps itself, `current` and at most one `next`. The archive must show exactly one of
 * them. `next` is durable here before it is sent, and is put again byte for byte until it was answered.
 */
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { removeDurably, syncFolder, writeDurably } from '../../shared/durable.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import { equalBytes } from '../content/bytes.ts';
import { objectHash } from '../content/hash.ts';
import type { Catalogue } from '../content/catalogue.ts';
import type { ReceiverClient } from '../link/client.ts';
import type { ArchiveState } from './archive-state.ts';
import { fetchCatalogue } from './proven-reader.ts';

export interface Pinned {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly catalogue: Catalogue;
}

export interface PinCheck {
  /** Whether a `next` is brought to its end. Only the holder of the archive's lock may: for others the pin is to read. */
  readonly settles: boolean;
  /** Take what is there when it is older or another than the pin. */
  readonly acceptRollback: boolean;
}

/** What to do when the archive is not as this dom0 knows it. */
export const ROLLBACK_HINT =
  'If you restored the backup disk from a copy, send with --accept-rollback; otherwise do not trust the backup VM until you know why.';

export class Pin {
  readonly #state: ArchiveState;
  #current: Pinned | undefined;
  #next: Pinned | undefined;

  constructor(state: ArchiveState) {
    this.#state = state;
    this.#current = this.#load('current');
    this.#next = this.#load('next');
  }

  /** What this dom0 last knew the archive to hold. */
  get current(): Pinned | undefined {
    return this.#current;
  }

  /** Writes the first catalogue (init). */
  begin(catalogue: Catalogue): Pinned {
    this.#current = this.#write('current', catalogue);
    return this.#current;
  }

  /**
   * Compares the archive with the pin.
   * @throws `rollback` when the archive shows anything but `current` or `next` (a newer one is taken by a dom0 that is not the writer)
   */
  async check(client: ReceiverClient, { settles, acceptRollback }: PinCheck): Promise<Pinned> {
    const bytes = await fetchCatalogue(client);
    const hash = objectHash(bytes);
    // A send beside a reading command may have moved the pin since it was loaded.
    const same = this.#match(hash) ?? this.#reload().#match(hash);
    if (same !== undefined) return settles ? this.#settle(client, same) : same;
    const there: Pinned = { bytes, hash, catalogue: this.#state.content.openCatalogue(bytes) };
    const ours = this.#current?.catalogue.sequence ?? 0;
    const newer = there.catalogue.sequence > ours;
    const weWrite = there.catalogue.writer === this.#state.settings.writer;
    if (!weWrite && (newer || this.#current === undefined)) {
      this.#adopt(there);
      return there;
    }
    if (!acceptRollback && this.#current === undefined) {
      throw new SparsebakError(
        'rollback',
        'dom0 lost its own catalogue of this archive: a rollback could not be told',
        {
          hint: 'See "sparsebak-receiver list" in the backup VM for what there is; if nothing is missing, send with --accept-rollback.',
        },
      );
    }
    if (!acceptRollback) {
      throw new SparsebakError(
        'rollback',
        `the archive shows catalogue ${there.catalogue.sequence}, but this dom0 knows ${ours}: it was rolled back, or another dom0 with this key wrote to it`,
        {
          hint: ROLLBACK_HINT,
        },
      );
    }
    this.#adopt(there);
    return there;
  }

  #match(hash: Uint8Array): Pinned | undefined {
    return [this.#current, this.#next].find((pinned) => pinned !== undefined && equalBytes(hash, pinned.hash));
  }

  #reload(): this {
    this.#current = this.#load('current');
    this.#next = this.#load('next');
    return this;
  }

  /** Brings a put whose answer was lost to its end. */
  async #settle(client: ReceiverClient, there: Pinned): Promise<Pinned> {
    if (there === this.#next) this.#promote();
    else if (this.#next !== undefined) await this.#put(client, there, this.#next);
    return this.known;
  }

  /** Makes `catalogue` the archive's: durable here, put there, then current. */
  async replace(client: ReceiverClient, catalogue: Catalogue): Promise<Pinned> {
    const current = this.known;
    this.#next = this.#write('next', catalogue);
    await this.#put(client, current, this.#next);
    return this.known;
  }

  async #put(client: ReceiverClient, replaces: Pinned, next: Pinned): Promise<void> {
    await client.sendParts(next.bytes);
    await client.request({ t: 'put-catalogue', replaces: replaces.hash });
    this.#promote();
  }

  /** The same, where there must be one. */
  get known(): Pinned {
    if (this.#current === undefined) throw new SparsebakError('failed', 'the archive has no catalogue here yet');
    return this.#current;
  }

  #promote(): void {
    renameSync(join(this.#state.folder, 'next'), join(this.#state.folder, 'current'));
    syncFolder(this.#state.folder);
    this.#current = this.#next;
    this.#next = undefined;
  }

  #adopt(there: Pinned): void {
    writeDurably(join(this.#state.folder, 'current'), there.bytes);
    if (this.#next !== undefined) removeDurably(join(this.#state.folder, 'next'));
    this.#current = there;
    this.#next = undefined;
  }

  #write(name: 'current' | 'next', catalogue: Catalogue): Pinned {
    const { stored, hash } = this.#state.content.sealCatalogue(catalogue);
    writeDurably(join(this.#state.folder, name), stored);
    return { bytes: stored, hash, catalogue };
  }

  #load(name: 'current' | 'next'): Pinned | undefined {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(join(this.#state.folder, name));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      return { bytes, hash: objectHash(bytes), catalogue: this.#state.content.openCatalogue(bytes) };
    } catch (error) {
      const file = join(this.#state.folder, name);
      throw new SparsebakError('integrity', `${file} in dom0 is damaged: ${asSparsebakError(error).message}`, {
        hint: 'Put it back from a copy, or move it away and see what the next send says.',
        cause: error,
      });
    }
  }
}
