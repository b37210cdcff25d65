/**
 * Reads the archive's signed objects through the receiver. Only proven objects are returned: a head is proven by its
 * signature (and by the catalogue's hash if that is known), index and pages by the hashes above them.
 */
import { Geometry } from '../../shared/archive/address.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { asSparsebakError, isIntegrity, SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { MAX_STAGED } from '../../shared/wire/limits.ts';
import type { ArchiveContent } from '../content/archive-content.ts';
import { MAX_HEAD_LENGTH } from '../content/head.ts';
import { isZeroBytes } from '../content/bytes.ts';
import { objectHash } from '../content/hash.ts';
import type { ReceiverClient, Request } from '../link/client.ts';
import type { Item } from '../link/due-answers.ts';
import { MAX_PAGE, asLoss, fetchObject, maxIndex } from './fetch-object.ts';
import { MAX_SESSIONS, listVolumes, type Listing } from './stored-listing.ts';
import type { ProvenSession } from './proven-session.ts';
import { rebuiltIndex } from './rebuilt-index.ts';

export type { Listing, StoredSession } from './stored-listing.ts';
export type { ProvenSession } from './proven-session.ts';

/** The largest catalogue in bytes. */
const MAX_CATALOGUE = MAX_STAGED;

export interface SessionIndex {
  /** One hash (32 bytes) for each range's page; zeros for a page that is not stored. */
  readonly hashes: Uint8Array;
  /** Why the stored index was not used, if it was rebuilt. */
  readonly fault: SparsebakError | undefined;
}

export class ProvenReader {
  readonly #client: ReceiverClient;
  readonly #content: ArchiveContent;
  readonly #mostSessions: () => number;

  /** @param mostSessions that one volume can have */
  constructor(client: ReceiverClient, content: ArchiveContent, mostSessions: () => number) {
    this.#client = client;
    this.#content = content;
    this.#mostSessions = mostSessions;
  }

  /** The receiver's listing of the archive. Takes long: ask for it once per command. @throws `protocol` */
  async volumes(): Promise<Listing> {
    return await listVolumes(this.#client, this.#mostSessions());
  }

  /**
   * The heads of a volume's sessions (all, or those named), each authentic. Oldest first.
   * @param sessions rising; if not empty, exactly these are returned
   * @param expected the catalogue's hash of one session's head
   * @throws `integrity` if one is not authentic, or a named one does not exist
   */
  async heads(
    volume: VolumeId,
    sessions: readonly SessionName[],
    expected?: { readonly session: SessionName; readonly hash: Uint8Array },
  ): Promise<ProvenSession[]> {
    const proven = await this.headsThere(volume, sessions, expected);
    const missing = sessions.find((session) => !proven.some(({ head }) => head.session === session));
    if (missing !== undefined) {
      throw new SparsebakError('integrity', `session ${missing} has no head in the archive`, {
        hint: 'The backup VM lost it or withholds it; see "sparsebak-receiver check".',
      });
    }
    return proven;
  }

  /**
   * The same, but a named session that does not exist (for example, pruned since it was listed) is left out.
   * @param onDamaged leaves out those that are not authentic, too
   */
  async headsThere(
    volume: VolumeId,
    sessions: readonly SessionName[],
    expected?: { readonly session: SessionName; readonly hash: Uint8Array },
    onDamaged?: (session: SessionName, fault: SparsebakError) => void,
  ): Promise<ProvenSession[]> {
    const proven: ProvenSession[] = [];
    let last: SessionName | undefined;
    let fault: SparsebakError | undefined;
    let count = 0;
    await this.#ask({ t: 'get-heads', volume, sessions: [...sessions] }, (item) => {
      if (item.t === 'lost') {
        const lost = sessions.find((session) => session === item.name);
        if (lost === undefined) return;
        if (onDamaged === undefined) fault ??= cannotGive(lost, item.message);
        else onDamaged(lost, cannotGive(lost, item.message));
      }
      if (item.t !== 'head') return;
      const { session } = item;
      // An older head is authentic too: a head that was not asked for must not be taken for another.
      if ((last !== undefined && last >= session) || (sessions.length > 0 && !sessions.includes(session))) {
        throw new SparsebakError('protocol', `the receiver sent the head of ${session}, which was not asked for`);
      }
      if (++count > MAX_SESSIONS) throw new SparsebakError('protocol', 'the receiver does not stop sending heads');
      last = session;
      // Each head is proven on arrival, and nothing is kept of the others. The answer is received to its end, since a
      // damaged file is no reason to end the connection.
      if (fault !== undefined) return;
      try {
        proven.push(this.#prove(volume, session, item.data, expected));
      } catch (error) {
        const found = asSparsebakError(error, 'integrity');
        if (onDamaged === undefined || found.code !== 'integrity') fault = found;
        else onDamaged(session, found);
      }
    });
    if (fault !== undefined) throw fault;
    return proven;
  }

  /** The head of one session. @throws `integrity` */
  async head(volume: VolumeId, session: SessionName, hash?: Uint8Array): Promise<ProvenSession> {
    const [proven] = await this.heads(volume, [session], hash === undefined ? undefined : { session, hash });
    if (proven === undefined) throw new SparsebakError('integrity', `session ${session} has no head in the archive`);
    return proven;
  }

  #prove(
    volume: VolumeId,
    session: SessionName,
    data: Uint8Array,
    expected: { readonly session: SessionName; readonly hash: Uint8Array } | undefined,
  ): ProvenSession {
    if (data.length > MAX_HEAD_LENGTH) {
      throw new SparsebakError(
        'integrity',
        `the head of session ${session} has ${data.length} bytes, more than a head can have`,
      );
    }
    const bytes = Uint8Array.from(data);
    const headHash = objectHash(bytes);
    if (expected?.session === session && Buffer.compare(expected.hash, headHash) !== 0) {
      throw new SparsebakError('integrity', `the head of session ${session} is not the one that the catalogue lists`);
    }
    const head = this.#content.openHead(volume, session, bytes);
    return { volume, head, headHash, geometry: new Geometry(head.chunkSize, head.size) };
  }

  /**
   * The index of a session. If it is missing or damaged, it is rebuilt from the session's pages: the result must have
   * the hash that the head signs.
   * @throws `integrity`
   */
  async index(session: ProvenSession): Promise<SessionIndex> {
    try {
      return { hashes: await this.#storedIndex(session), fault: undefined };
    } catch (error) {
      if (!isIntegrity(error)) throw error;
      const hashes = await rebuiltIndex({ client: this.#client, content: this.#content }, session);
      if (hashes === undefined) throw error;
      return { hashes, fault: error };
    }
  }

  async #storedIndex({ volume, head, geometry }: ProvenSession): Promise<Uint8Array> {
    const bytes = await this.#object({ t: 'get-index', volume, session: head.session }, maxIndex(geometry.rangeCount));
    if (bytes === undefined) {
      throw new SparsebakError('integrity', `session ${head.session} has no index in the archive`);
    }
    return this.#content.openIndex(volume, geometry.rangeCount, head.index, bytes);
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

  async #ask(request: Request, onItem: (item: Item) => void): Promise<void> {
    try {
      await this.#client.request(request, onItem);
    } catch (error) {
      throw asLoss(error);
    }
  }
}

function cannotGive(session: SessionName, message: string): SparsebakError {
  return new SparsebakError(
    'integrity',
    `the receiver cannot give the head of session ${session}: ${escapeText(message, 300)}`,
  );
}

/** The archive's catalogue, not proven yet; no bytes if it is missing, unreadable, or too long. */
export async function fetchCatalogue(client: ReceiverClient): Promise<Uint8Array> {
  const nothing = new Uint8Array(0);
  try {
    return (await fetchObject(client, { t: 'get-catalogue' }, MAX_CATALOGUE)) ?? nothing;
  } catch (error) {
    if (isIntegrity(error)) return nothing;
    throw error;
  }
}
