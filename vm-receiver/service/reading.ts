/** The requests that only read, answered piece by piece: only one frame of an answer is in memory at a time. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import type { HandledBy } from '../../shared/wire/phases.ts';
import { SMALL_FRAME, FRAME_MARGIN } from '../../shared/wire/limits.ts';
import { STORED_HEADER, writeStoredHeader } from '../../shared/wire/chunk-frame.ts';
import { isLoss, type Refusal } from '../store/refusal.ts';
import type { ArchiveStore, DamagedParts, OnLost, Pieces } from '../store/store.ts';
import type { Conversation } from './conversation.ts';
import { freed } from './maintaining.ts';

/** Sessions in one `volume` message: they fit the smallest frame. */
const SESSIONS_AT_ONCE = 1024;
/** Addresses, and pages, in one `damage` message. */
const DAMAGES_AT_ONCE = 1024;

type Reading = HandledBy<'read'>;

/** Collects losses found while a list is made, until they can be sent. */
class Losses {
  #found: { readonly name: string; readonly why: Refusal }[] = [];

  readonly add: OnLost<string> = (name, why) => {
    this.#found.push({ name, why });
  };

  /** The losses since the last call. */
  take(): readonly { readonly name: string; readonly why: Refusal }[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }
}

export class Answers {
  readonly #conversation: Conversation;
  readonly #archive: ArchiveStore;
  /** Two buffers for outgoing chunks with their frames' headers: one is filled while the other one is sent. */
  #frames: readonly [Uint8Array, Uint8Array] | undefined;

  constructor(conversation: Conversation, archive: ArchiveStore) {
    this.#conversation = conversation;
    this.#archive = archive;
  }

  async give(request: Reading): Promise<void> {
    const { id: re } = request;
    switch (request.t) {
      case 'get-slots': {
        const lost = new Losses();
        for (const slot of this.#archive.slots(lost.add)) {
          await this.#tell(re, lost);
          await this.#conversation.answer({ t: 'slot', re, ...slot });
        }
        await this.#tell(re, lost);
        await this.#done(re);
        return;
      }
      case 'get-catalogue': {
        if (this.#conversation.allows('lost')) await this.#unlessLost(re, async () => this.#archive.catalogue());
        else await this.#pieces(re, this.#archive.catalogue());
        return;
      }
      case 'get-volumes': {
        await this.#volumes(re);
        return;
      }
      case 'get-heads': {
        const lost = new Losses();
        for (const { session, data } of this.#archive.heads(request.volume, request.sessions, lost.add)) {
          await this.#tell(re, lost);
          await this.#conversation.answer({ t: 'head', re, session, data });
        }
        await this.#tell(re, lost);
        await this.#done(re);
        return;
      }
      case 'get-index': {
        await this.#unlessLost(re, () => this.#archive.index(request.volume, request.session));
        return;
      }
      case 'get-page': {
        await this.#unlessLost(re, () => this.#archive.page(request.volume, request.session, request.range));
        return;
      }
      case 'get-freed': {
        const bytes = await this.#archive.freed(request.volume, request.sessions);
        await this.#conversation.answer({ ...freed(bytes), re });
        return;
      }
      case 'get-space': {
        const { totalBytes, freeBytes, freeInodes = null } = this.#archive.space();
        await this.#conversation.answer({ t: 'space', re, totalBytes, freeBytes, freeInodes });
        return;
      }
      case 'get-damage': {
        await this.#damage(re, await this.#archive.damage(request.volume));
        return;
      }
      case 'get-chunks': {
        await this.#chunks(request);
        await this.#done(re);
        return;
      }
    }
  }

  async #volumes(re: number): Promise<void> {
    const lost = new Losses();
    for (const { volume, sessions } of this.#archive.volumes(lost.add)) {
      await this.#tell(re, lost);
      for (let from = 0; from < sessions.length; from += SESSIONS_AT_ONCE) {
        const some = sessions
          .slice(from, from + SESSIONS_AT_ONCE)
          .map(({ session, storedBytes, files, protected: isProtected }) => ({
            session,
            storedBytes,
            files,
            protected: isProtected,
          }));
        await this.#conversation.answer({ t: 'volume', re, volume, sessions: some });
      }
    }
    await this.#tell(re, lost);
    await this.#done(re);
  }

  async #tell(re: number, lost: Losses): Promise<void> {
    for (const { name, why } of lost.take()) await this.#conversation.lost(re, name, why);
  }

  async #damage(re: number, damaged: DamagedParts | undefined): Promise<void> {
    if (damaged === undefined) {
      await this.#conversation.answer({ t: 'absent', re });
      return;
    }
    const { addresses, pages } = damaged;
    for (let from = 0; from < Math.max(addresses.length, pages.length); from += DAMAGES_AT_ONCE) {
      const upTo = from + DAMAGES_AT_ONCE;
      await this.#conversation.answer({
        t: 'damage',
        re,
        addresses: addresses.slice(from, upTo),
        pages: pages.slice(from, upTo),
      });
    }
    await this.#done(re);
  }

  /**
   * An object that the disk can no longer read is answered with `absent`, even after parts of it were sent: dom0
   * handles a missing object.
   */
  async #unlessLost(re: number, find: () => Promise<Pieces | undefined>): Promise<void> {
    try {
      await this.#pieces(re, await find());
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#conversation.note(error);
      await this.#conversation.answer({ t: 'absent', re });
    }
  }

  async #pieces(re: number, pieces: Pieces | undefined): Promise<void> {
    if (pieces === undefined) {
      await this.#conversation.answer({ t: 'absent', re });
      return;
    }
    for (const data of pieces) await this.#conversation.answer({ t: 'data', re, data });
    await this.#done(re);
  }

  async #chunks({ id, volume, session, addresses }: Extract<Reading, { t: 'get-chunks' }>): Promise<void> {
    this.#frames ??= [this.#newFrame(), this.#newFrame()];
    let [filled, sent] = this.#frames;
    let sending: Promise<void> = Promise.resolve();
    try {
      for (const address of addresses) {
        const length = await this.#lengthOf(volume, session, address, filled);
        await sending;
        sending =
          length === undefined
            ? this.#conversation.answer({ t: 'stored', re: id, address, data: null })
            : this.#conversation.answerFrame(filled.subarray(0, writeStoredHeader(filled, 0, id, address, length)));
        // It is awaited above or below, but a chunk that cannot be read may come first.
        sending.catch(() => undefined);
        [filled, sent] = [sent, filled];
      }
    } finally {
      // Before the next request fills the buffer again.
      await sending;
    }
  }

  #newFrame(): Uint8Array {
    return Buffer.allocUnsafeSlow(STORED_HEADER + Math.max(SMALL_FRAME, this.#archive.chunkSize + FRAME_MARGIN) - 1024);
  }

  async #lengthOf(
    volume: VolumeId,
    session: SessionName,
    address: number,
    frame: Uint8Array,
  ): Promise<number | undefined> {
    try {
      return await this.#archive.chunk(volume, session, address, frame, STORED_HEADER);
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#conversation.note(error);
      return undefined;
    }
  }

  async #done(re: number): Promise<void> {
    await this.#conversation.answer({ t: 'done', re });
  }
}
