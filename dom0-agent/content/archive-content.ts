/**
 * Seals and opens one archive's pages, indexes, heads and catalogues, whichever way the archive protects them. Opening
 * takes what the object must be, and returns plain data.
 */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import type { ArchiveId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { OBJECT_TYPE, catalogueAad, headAad, indexAad, pageAad, type ObjectType } from './aad.ts';
import { MAX_CATALOGUE_LENGTH, decodeCatalogue, encodeCatalogue, type Catalogue } from './catalogue.ts';
import type { ChunkContent } from './chunk.ts';
import type { Codec } from './compression.ts';
import { integrityError } from './integrity-error.ts';
import { equalBytes, isZeroBytes, plain } from './bytes.ts';
import { indexHash, objectHash, pageHash } from './hash.ts';
import { MAX_HEAD_LENGTH, decodeHead, encodeHead, type Head } from './head.ts';
import { macOf, workingKeys, type WorkingKeys, type WrappedRecord } from './keys.ts';
import { ENTRY_LENGTH, entryAt, entryCount, newEntries, withoutTrailingZeros } from './entries.ts';
import { SEALED_OVERHEAD, seal, unsealPlain } from './sealed.ts';
import type { MacName } from './mac-names.ts';
import { Signer } from './signed.ts';
import { Xaes256Gcm } from './xaes.ts';

export interface StoredObject {
  /** The hash in its parent: for a page or index that of its entries, for a head or catalogue that of `stored`. */
  readonly hash: Uint8Array;
  readonly stored: Uint8Array;
}

export class ArchiveContent {
  readonly archive: ArchiveId;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly codec: Codec;
  /** Bytes. */
  readonly chunkSize: number;
  readonly mac: MacName;
  readonly #keys: WorkingKeys;
  readonly #cipher: Xaes256Gcm;
  readonly #signer: Signer;

  constructor(record: WrappedRecord) {
    this.archive = record.archive;
    this.encrypted = record.encrypted;
    this.dedup = record.dedup;
    this.codec = record.codec;
    this.chunkSize = record.chunkSize;
    this.mac = macOf(record);
    this.#keys = workingKeys(record);
    this.#cipher = new Xaes256Gcm(this.#keys.seal);
    this.#signer = new Signer(this.mac, this.#keys.mac);
  }

  /**
   * What worker threads need for chunks.
   * @param level of the codec, for new chunks
   * @throws SparsebakError `config` for a codec other than a plain archive's own
   */
  chunkContent(level: number, codec: Codec = this.codec): ChunkContent {
    if (!this.encrypted && codec !== this.codec) {
      throw new SparsebakError(
        'config',
        `this archive's chunks are ${this.codec}, fixed when it was created; ${codec} cannot be added`,
      );
    }
    const { archive, encrypted, dedup, chunkSize, mac } = this;
    return { archive, encrypted, dedup, codec, level, chunkSize, mac, keys: this.#keys };
  }

  /** @returns `stored` undefined for an all-zero page, which is not stored */
  sealPage(
    volume: VolumeId,
    range: number,
    entries: Uint8Array,
  ): { readonly hash: Uint8Array; readonly stored: Uint8Array | undefined } {
    const hash = pageHash(range, entries);
    if (isZeroBytes(hash)) return { hash, stored: undefined };
    return { hash, stored: this.#sealNode(OBJECT_TYPE.page, pageAad(this.archive, volume, range), entries) };
  }

  /**
   * The entries of a page (32 bytes each), the caller's own.
   * @param count entries that the page must have: `Geometry.entriesOf(range)`
   * @param hash from a verified index; for the zero hash, `stored` is ignored
   * @param stored undefined if the receiver has none
   * @throws SparsebakError `integrity`
   */
  openPage(
    volume: VolumeId,
    range: number,
    count: number,
    hash: Uint8Array,
    stored: Uint8Array | undefined,
  ): Uint8Array {
    if (count < 1 || count > CHUNKS_PER_RANGE) throw new RangeError(`a page of ${count} entries`);
    if (isZeroBytes(hash)) return newEntries(count);
    const what = `page ${range} of volume ${volume}`;
    if (stored === undefined) throw integrityError(what, 'missing');
    const entries = this.#pageEntries(volume, range, count, stored, what);
    if (!equalBytes(pageHash(range, entries), hash)) throw integrityError(what, 'not the page that its index names');
    return entries;
  }

  /**
   * A stored page's entries, and its hash for an index. Neither the page nor an index of such hashes is proven before a
   * signed head names it.
   * @param count as for `openPage`
   * @throws SparsebakError `integrity` if it is not such a page
   */
  readPage(
    volume: VolumeId,
    range: number,
    count: number,
    stored: Uint8Array,
  ): { readonly hash: Uint8Array; readonly entries: Uint8Array } {
    const entries = this.#pageEntries(volume, range, count, stored, `page ${range} of volume ${volume}`);
    return { hash: pageHash(range, entries), entries };
  }

  #pageEntries(volume: VolumeId, range: number, count: number, stored: Uint8Array, what: string): Uint8Array {
    const entries = this.#openNode(OBJECT_TYPE.page, pageAad(this.archive, volume, range), count, stored, what);
    if (entryCount(entries) !== count)
      throw integrityError(what, `${entries.length} bytes, which are not ${count} entries`);
    return entries;
  }

  /** @param hashes of all pages in order; trailing zero hashes may be left out */
  sealIndex(volume: VolumeId, hashes: Uint8Array): StoredObject {
    const entries = withoutTrailingZeros(hashes);
    return {
      hash: indexHash(entries),
      stored: this.#sealNode(OBJECT_TYPE.index, indexAad(this.archive, volume), entries),
    };
  }

  /** Whether these are the hashes (with or without trailing zero hashes) that a verified head names. */
  isIndex(hashes: Uint8Array, hash: Uint8Array): boolean {
    return equalBytes(indexHash(withoutTrailingZeros(hashes)), hash);
  }

  /**
   * The hashes of all pages (32 bytes each), the caller's own, trailing zero hashes filled in.
   * @param rangeCount pages that the volume has: `Geometry.rangeCount`
   * @param hash from a verified head
   * @throws SparsebakError `integrity`
   */
  openIndex(volume: VolumeId, rangeCount: number, hash: Uint8Array, stored: Uint8Array): Uint8Array {
    const what = `index of volume ${volume}`;
    const entries = this.#openNode(OBJECT_TYPE.index, indexAad(this.archive, volume), rangeCount, stored, what);
    const count = entryCount(entries);
    if (!Number.isInteger(count) || count > rangeCount) {
      throw integrityError(what, `${entries.length} bytes, which are not up to ${rangeCount} entries`);
    }
    if (count > 0 && isZeroBytes(entryAt(entries, count - 1))) throw integrityError(what, 'it ends in a zero hash');
    if (!equalBytes(indexHash(entries), hash)) throw integrityError(what, 'not the index that its head names');
    const hashes = newEntries(rangeCount);
    hashes.set(entries);
    return hashes;
  }

  sealHead(head: Head): StoredObject {
    this.#checkOwn(head);
    const payload = encodeHead(head);
    return this.#sealSigned(
      OBJECT_TYPE.head,
      headAad(this.archive, head.volume, head.session),
      payload,
      MAX_HEAD_LENGTH,
    );
  }

  /**
   * Opens a head that dom0 made for this volume and session. Only the catalogue shows whether it is the newest.
   * @throws SparsebakError `integrity`
   */
  openHead(volume: VolumeId, session: SessionName, stored: Uint8Array): Head {
    const what = `head of volume ${volume}, session ${session}`;
    const aad = headAad(this.archive, volume, session);
    const head = decodeHead(this.#openSigned(OBJECT_TYPE.head, aad, stored, MAX_HEAD_LENGTH, what), what);
    const wrong = (['archive', 'volume', 'session', 'chunkSize'] as const).find(
      (field) => head[field] !== { archive: this.archive, volume, session, chunkSize: this.chunkSize }[field],
    );
    if (wrong !== undefined) throw integrityError(what, `its ${wrong} differs`);
    return head;
  }

  sealCatalogue(catalogue: Catalogue): StoredObject {
    this.#checkOwn(catalogue);
    const payload = encodeCatalogue(catalogue);
    return this.#sealSigned(OBJECT_TYPE.catalogue, catalogueAad(this.archive), payload, MAX_CATALOGUE_LENGTH);
  }

  /**
   * Opens a catalogue that dom0 made for this archive. Only the pin shows whether it is an older one.
   * @throws SparsebakError `integrity`
   */
  openCatalogue(stored: Uint8Array): Catalogue {
    const what = 'catalogue';
    const payload = this.#openSigned(
      OBJECT_TYPE.catalogue,
      catalogueAad(this.archive),
      stored,
      MAX_CATALOGUE_LENGTH,
      what,
    );
    const catalogue = decodeCatalogue(payload, what);
    if (catalogue.archive !== this.archive) throw integrityError(what, 'it belongs to another archive');
    return catalogue;
  }

  #checkOwn(object: { readonly archive: ArchiveId; readonly chunkSize?: number }): void {
    if (object.archive !== this.archive || (object.chunkSize ?? this.chunkSize) !== this.chunkSize) {
      throw new SparsebakError('failed', 'an object of another archive was to be sealed in this one');
    }
  }

  /** Pages and indexes of a plain archive are stored as they are, and verified by their hash only. */
  #sealNode(type: ObjectType, aad: Uint8Array, entries: Uint8Array): Uint8Array {
    return this.encrypted ? seal(this.#cipher, type, aad, entries) : plain(entries);
  }

  #openNode(type: ObjectType, aad: Uint8Array, maxCount: number, stored: Uint8Array, what: string): Uint8Array {
    const maxLength = maxCount * ENTRY_LENGTH + (this.encrypted ? SEALED_OVERHEAD : 0);
    if (this.encrypted) return plain(unsealPlain(this.#cipher, type, aad, stored, maxLength, what));
    if (stored.length > maxLength) throw integrityError(what, `${stored.length} bytes are too many`);
    return plain(stored);
  }

  #sealSigned(type: ObjectType, aad: Uint8Array, payload: Uint8Array, maxLength: number): StoredObject {
    const stored = this.encrypted ? seal(this.#cipher, type, aad, payload) : this.#signer.sign(type, aad, payload);
    if (stored.length > maxLength)
      throw new SparsebakError('failed', `${stored.length} bytes are too many for an object of its type`);
    return { hash: objectHash(stored), stored };
  }

  #openSigned(type: ObjectType, aad: Uint8Array, stored: Uint8Array, maxLength: number, what: string): Uint8Array {
    return this.encrypted
      ? unsealPlain(this.#cipher, type, aad, stored, maxLength, what)
      : this.#signer.open(type, aad, stored, maxLength, what);
  }
}
