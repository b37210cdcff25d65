/**
 * Reads the archive's signed objects through the receiver. Nothing leaves here that was not proven: a head by its
 * signature (and by the catalogue's hash where that is known), index and pages by the hashes above them.
 */
import { Geometry } from '../../shared/archive/address.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_STAGED } from '../../shared/wire/limits.ts';
import type { ArchiveContent } from '../content/archive-content.ts';
import type { Head } from '../content/head.ts';
import { isZeroBytes } from '../content/bytes.ts';
import { objectHash } from '../content/hash.ts';
import type { Closing, Item, ReceiverClient, Request } from '../link/client.ts';

/** Bytes that a catalogue may have. */
const MAX_CATALOGUE = MAX_STAGED;
/** A page is 32 KiB of identities and its sealing. */
const MAX_PAGE = 64 * 1024;

export interface StoredSession {
  readonly session: SessionName;
  readonly storedBytes: number;
  readonly files: number;
}

/** A session's head and what it commits to. */
export interface ProvenSession {
  readonly volume: VolumeId;
  readonly head: Head;
  readonly headHash: Uint8Array;
  readonly geometry: Geometry;
}

export class ProvenReader {
  readonly #client: ReceiverClient;
  readonly #content: ArchiveContent;

  constructor(client: ReceiverClient, content: ArchiveContent) {
    this.#client = client;
    this.#content = content;
  }

  /** What the receiver says it holds; only names of the right form, nothing proven yet. Oldest first. */
  async volumes(): Promise<Map<VolumeId, StoredSession[]>> {
    const volumes = new Map<VolumeId, StoredSession[]>();
    await this.#client.request({ t: 'get-volumes' }, (item) => {
      if (item.t !== 'volume') return;
      const sessions = volumes.get(item.volume) ?? [];
      for (const entry of item.sessions) {
        const last = sessions.at(-1);
        if (last !== undefined && last.session >= entry.session) {
          throw new SparsebakError('protocol', `the receiver lists the sessions of a volume out of order`);
        }
        sessions.push(entry);
      }
      volumes.set(item.volume, sessions);
    });
    return volumes;
  }

  /**
   * The heads of a volume's sessions (all, or those named), each authentic. Oldest first.
   * @param expected the catalogue's hash of one session's head
   * @throws `integrity` when one does not authenticate, or a named one is not there
   */
  async heads(
    volume: VolumeId,
    sessions: readonly SessionName[],
    expected?: { readonly session: SessionName; readonly hash: Uint8Array },
  ): Promise<ProvenSession[]> {
    const stored: { session: SessionName; bytes: Uint8Array }[] = [];
    await this.#client.request({ t: 'get-heads', volume, sessions: [...sessions] }, (item) => {
      if (item.t === 'head') stored.push({ session: item.session, bytes: Uint8Array.from(item.data) });
    });
    const proven = stored.map(({ session, bytes }) => {
      const headHash = objectHash(bytes);
      if (expected?.session === session && Buffer.compare(expected.hash, headHash) !== 0) {
        throw new SparsebakError('integrity', `the head of session ${session} is not the one that the catalogue lists`);
      }
      const head = this.#content.openHead(volume, session, bytes);
      return { volume, head, headHash, geometry: new Geometry(head.chunkSize, head.size) };
    });
    for (const session of sessions) {
      if (!stored.some((entry) => entry.session === session)) {
        throw new SparsebakError('integrity', `session ${session} has no head in the archive`, {
          hint: 'The backup VM lost it or withholds it; see "sparsebak-receiver check".',
        });
      }
    }
    return proven;
  }

  /** The index of a session: one hash (32 bytes) per range. @throws `integrity` */
  async index(session: ProvenSession): Promise<Uint8Array> {
    const { volume, head } = session;
    const cap = session.geometry.rangeCount * 32 + 1024;
    const bytes = await this.#object({ t: 'get-index', volume, session: head.session }, cap);
    if (bytes === undefined) {
      throw new SparsebakError('integrity', `session ${head.session} has no index in the archive`);
    }
    return this.#content.openIndex(volume, session.geometry.rangeCount, head.index, bytes);
  }

  /**
   * The identities of one range.
   * @param expected the page's hash from the index; all zeros for a page that is not stored
   * @throws `integrity`
   */
  async page(session: ProvenSession, range: number, expected: Uint8Array): Promise<Uint8Array> {
    const entries = session.geometry.entriesOf(range);
    if (isZeroBytes(expected)) return new Uint8Array(entries * 32);
    const { volume, head } = session;
    const bytes = await this.#object({ t: 'get-page', volume, session: head.session, range }, MAX_PAGE);
    return this.#content.openPage(volume, range, entries, expected, bytes);
  }

  async #object(request: Request, cap: number): Promise<Uint8Array | undefined> {
    return fetchObject(this.#client, request, cap);
  }
}

export async function fetchCatalogue(client: ReceiverClient): Promise<Uint8Array> {
  const bytes = await fetchObject(client, { t: 'get-catalogue' }, MAX_CATALOGUE);
  return bytes ?? new Uint8Array(0);
}

/** A long object in pieces, copied; undefined where it is absent. @throws `integrity` past the cap */
async function fetchObject(client: ReceiverClient, request: Request, cap: number): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const closing: Closing = await client.request(request, (item: Item) => {
    if (item.t !== 'data') return;
    length += item.data.length;
    if (length > cap) throw new SparsebakError('integrity', `${request.t}: the receiver sent more than ${cap} bytes`);
    pieces.push(Uint8Array.from(item.data));
  });
  return closing.t === 'absent' ? undefined : Buffer.concat(pieces, length);
}
