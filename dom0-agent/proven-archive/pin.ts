/**
 * The pin: the catalogue that dom0 keeps itself, `current` and at most one `next`. The archive must show exactly one of
 * these, or one that may follow them (succession.ts). `next` is durable here before it is sent, and the same bytes are
 * put again until the receiver has answered.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { removeDurably, syncFolder, writeDurably } from '../../shared/durable.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { equalBytes } from '../content/bytes.ts';
import { objectHash } from '../content/hash.ts';
import type { Catalogue } from '../content/catalogue.ts';
import type { ReceiverClient } from '../link/client.ts';
import type { ArchiveState } from './archive-state.ts';
import { catalogueDamaged, forked, pinLost, rolledBack } from './pin-errors.ts';
import { loadPinned, type Pinned } from './pinned-file.ts';
import { fetchCatalogue } from './proven-reader.ts';
import { successionOf } from './succession.ts';

export interface PinCheck {
  /**
   * Whether an unanswered `next` is put again. Only the holder of the archive's lock may do that: for others the pin is
   * read-only.
   */
  readonly settles: boolean;
  /** Accepts a catalogue that is older than the pin. */
  readonly acceptRollback: boolean;
  /** Accepts a catalogue that another computer made, and not over the pin. */
  readonly acceptFork: boolean;
}

export interface Checked {
  readonly pinned: Pinned;
  /**
   * Set if the archive's own catalogue is damaged or missing, so that only the pin counts; `repaired` if it was put
   * back.
   */
  readonly damaged?: { readonly fault: SparsebakError; readonly repaired: boolean };
}

export class Pin {
  readonly #state: ArchiveState;
  #current: Pinned | undefined;
  #next: Pinned | undefined;

  constructor(state: ArchiveState) {
    this.#state = state;
    this.#current = loadPinned(this.#state, 'current');
    this.#next = loadPinned(this.#state, 'next');
  }

  /** The last catalogue that this dom0 knows the archive to have. */
  get current(): Pinned | undefined {
    return this.#current;
  }

  /** Writes the first catalogue (init). */
  begin(catalogue: Catalogue): Pinned {
    this.#current = this.#write('current', catalogue);
    return this.#current;
  }

  /**
   * Compares the archive with the pin. A catalogue that another dom0 made over it is accepted.
   * @throws `rollback` for an older one, `fork` for one of another line, `integrity` if there is neither a pin nor a
   * catalogue
   */
  async check(client: ReceiverClient, { settles, acceptRollback, acceptFork }: PinCheck): Promise<Checked> {
    const bytes = await fetchCatalogue(client);
    const hash = objectHash(bytes);
    // A concurrent send may have moved the pin since this command loaded it.
    const same = this.#match(hash) ?? this.#reload().#match(hash);
    if (same !== undefined) return { pinned: settles ? await this.#settle(client, same) : same };
    let catalogue: Catalogue;
    try {
      catalogue = this.#state.content.openCatalogue(bytes);
    } catch (error) {
      return await this.#withoutCatalogue(client, hash, asSparsebakError(error, 'integrity'), settles);
    }
    const there: Pinned = { bytes, hash, catalogue };
    const fault = this.#faultOf(catalogue);
    const accepted = fault?.code === 'fork' ? acceptFork : acceptRollback;
    if (fault !== undefined && !accepted) throw fault;
    this.#take(there);
    return { pinned: there };
  }

  /** Why a catalogue that is not the pin cannot be accepted without the user's consent. */
  #faultOf(shown: Catalogue): SparsebakError | undefined {
    const me = this.#state.settings.writer;
    if (this.#current === undefined) return shown.writer === me ? pinLost() : undefined;
    const pins = this.#next === undefined ? [this.#current] : [this.#current, this.#next];
    const succession = successionOf(pins, shown, me);
    const { catalogue: known } = this.#current;
    switch (succession.kind) {
      case 'follows':
        return undefined;
      case 'older':
        return rolledBack(shown.sequence, known.sequence);
      case 'forked':
        return forked((this.#next ?? this.#current).catalogue, shown, succession, me);
    }
  }

  /**
   * An unreadable catalogue is not another computer's, so the writer puts its own back; a computer that only reads uses
   * its pin.
   * @param there the hash of what the archive shows
   */
  async #withoutCatalogue(
    client: ReceiverClient,
    there: Uint8Array,
    cause: SparsebakError,
    settles: boolean,
  ): Promise<Checked> {
    const ours = this.#next ?? this.#current;
    const puts = ours?.catalogue.writer === this.#state.settings.writer;
    const fault = catalogueDamaged(cause, puts);
    if (ours === undefined || (settles && !puts)) throw fault;
    if (!settles) return { pinned: this.#current ?? ours, damaged: { fault, repaired: false } };
    await client.sendParts(ours.bytes);
    await client.request({ t: 'put-catalogue', replaces: there });
    if (ours === this.#next) this.#promote();
    return { pinned: this.known, damaged: { fault, repaired: true } };
  }

  #match(hash: Uint8Array): Pinned | undefined {
    return [this.#current, this.#next].find((pinned) => pinned !== undefined && equalBytes(hash, pinned.hash));
  }

  #reload(): this {
    this.#current = loadPinned(this.#state, 'current');
    this.#next = loadPinned(this.#state, 'next');
    return this;
  }

  /** Completes a put whose answer was lost. */
  async #settle(client: ReceiverClient, there: Pinned): Promise<Pinned> {
    if (there === this.#next) this.#promote();
    else if (this.#next !== undefined) await this.#put(client, there, this.#next);
    return this.known;
  }

  /** Makes `catalogue` the archive's: first durable here, then put there, then current. */
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

  /** The current pin. @throws if there is none */
  get known(): Pinned {
    if (this.#current === undefined) throw new SparsebakError('failed', 'no catalogue of the archive is known yet');
    return this.#current;
  }

  #promote(): void {
    renameSync(join(this.#state.folder, 'next'), join(this.#state.folder, 'current'));
    syncFolder(this.#state.folder);
    this.#current = this.#next;
    this.#next = undefined;
  }

  #take(there: Pinned): void {
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
}
