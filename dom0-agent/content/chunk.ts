/**
 * Sealing and opening of chunks, for worker threads: built from plain data that workers get as `workerData`; one object
 * per thread, no state between chunks.
 */
import { randomBytes } from 'node:crypto';
import { SparsebakError } from '../../shared/errors.ts';
import type { ArchiveId } from '../../shared/archive/names.ts';
import { OBJECT_TYPE, chunkAadPrefix } from './aad.ts';
import { decompress, gzip, isIncompressible, isLevel, zstd, type Codec } from './compression.ts';
import { integrityError } from './integrity-error.ts';
import { IDENTITY_LENGTH, Identifier, isZeroIdentity } from './identity.ts';
import { copyBytes, equalBytes, freeBytes } from './bytes.ts';
import type { WorkingKeys } from './keys.ts';
import type { MacName } from './mac-names.ts';
import { Mac } from './mac.ts';
import { maxPlainStored, readPlainChunk, writePlainChunk } from './plain-chunk.ts';
import { SEALED_OVERHEAD, codecByte, sealInto, unseal, type Unsealed } from './sealed.ts';
import { Signer } from './signed.ts';
import { NONCE_LENGTH, Xaes256Gcm } from './xaes.ts';

/** Everything that sealing and opening need; survives structured cloning. */
export interface ChunkContent {
  readonly archive: ArchiveId;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  /** How new chunks are compressed. A plain archive has one codec; in an encrypted one each chunk records its own. */
  readonly codec: Codec;
  readonly level: number;
  /** Bytes. */
  readonly chunkSize: number;
  /** The function of identities and of every other MAC. */
  readonly mac: MacName;
  readonly keys: WorkingKeys;
}

/** The most bytes that a stored chunk needs, in any mode. */
export function maxStoredLength(chunkSize: number): number {
  return Math.max(chunkSize + SEALED_OVERHEAD, maxPlainStored(chunkSize));
}

/** What both directions share. */
class ChunkCrypto {
  readonly content: ChunkContent;
  readonly identifier: Identifier;
  readonly cipher: Xaes256Gcm;
  readonly signer: Signer;
  readonly #aadPrefix: Buffer;

  constructor(content: ChunkContent) {
    this.content = content;
    this.identifier = new Identifier(content.mac, content.keys.identity);
    this.cipher = new Xaes256Gcm(content.keys.seal);
    this.signer = new Signer(content.mac, content.keys.mac);
    this.#aadPrefix = chunkAadPrefix(content.archive);
  }

  aad(identity: Uint8Array): Buffer {
    if (identity.length !== IDENTITY_LENGTH) throw new RangeError('an identity has 32 bytes');
    return Buffer.concat([this.#aadPrefix, identity]);
  }
}

export class ChunkSealer {
  readonly #crypto: ChunkCrypto;
  readonly #nonceMac: Mac;

  /** @throws SparsebakError `config` for a level that the codec does not have */
  constructor(content: ChunkContent) {
    if (!isLevel(content.codec, content.level)) {
      throw new SparsebakError('config', `${content.codec} has no level ${content.level}`);
    }
    this.#crypto = new ChunkCrypto(content);
    this.#nonceMac = new Mac(content.mac, content.keys.nonce);
  }

  /** The identity of a chunk's plaintext: 32 bytes, zeros for a chunk that is all zeros (which must not be sealed). */
  identity(plaintext: Uint8Array): Buffer {
    return this.#crypto.identifier.of(plaintext);
  }

  /**
   * Writes the stored bytes at `offset` of `target`, which must have `maxStoredLength(chunkSize)` bytes there and not
   * overlap the plaintext.
   * @param identity of the plaintext, from `identity`
   * @returns bytes written
   */
  seal(plaintext: Uint8Array, identity: Uint8Array, target: Uint8Array, offset: number): number {
    const { content, cipher, signer } = this.#crypto;
    if (plaintext.length === 0 || plaintext.length > content.chunkSize) {
      throw new RangeError(`a chunk of ${plaintext.length} bytes`);
    }
    if (isZeroIdentity(identity)) throw new RangeError('a chunk of zeros is never stored');
    const aad = this.#crypto.aad(identity);
    if (!content.encrypted)
      return writePlainChunk(content.codec, content.level, signer, aad, plaintext, target, offset);
    const packed = pack(content.codec, content.level, plaintext);
    const nonce = content.dedup ? this.#syntheticNonce(aad, packed) : randomBytes(NONCE_LENGTH);
    const length = sealInto(cipher, OBJECT_TYPE.chunk, aad, packed, nonce, target, offset);
    if (packed.payload !== plaintext) freeBytes(packed.payload);
    return length;
  }

  /** Equal for equal content, so that its stored bytes are equal, and different for different content. */
  #syntheticNonce(aad: Uint8Array, { codec, payload }: Unsealed): Buffer {
    return this.#nonceMac.of(NONCE_LENGTH, aad, codecByte(codec), payload);
  }
}

/** Compressed if that makes it smaller, otherwise as it is. */
function pack(codec: Codec, level: number, plaintext: Uint8Array): Unsealed {
  const payload = codec === 'zstd' ? zstd(plaintext, level) : codec === 'gzip' ? tryGzip(plaintext, level) : plaintext;
  if (payload.length < plaintext.length) return { codec, payload };
  if (payload !== plaintext) freeBytes(payload);
  return { codec: 'none', payload: plaintext };
}

function tryGzip(plaintext: Uint8Array, level: number): Uint8Array {
  return isIncompressible(plaintext) ? plaintext : gzip(plaintext, level);
}

export class ChunkOpener {
  readonly #crypto: ChunkCrypto;

  constructor(content: ChunkContent) {
    this.#crypto = new ChunkCrypto(content);
  }

  /** The same as the sealer's. */
  identity(plaintext: Uint8Array): Buffer {
    return this.#crypto.identifier.of(plaintext);
  }

  /**
   * The plaintext of a stored chunk, in this order: length cap, authenticate, decompress with an exact cap, length,
   * identity.
   * @param identity from a verified page
   * @param plaintextLength bytes, by the chunk's place in the volume
   * @param target where the plaintext is copied, at `targetOffset`; untouched if the chunk does not open
   * @returns the plaintext: in `target`, or in a buffer of its own (for an uncompressed chunk in `stored` itself)
   * @throws SparsebakError `integrity`
   */
  open(
    stored: Uint8Array,
    identity: Uint8Array,
    plaintextLength: number,
    target?: Uint8Array,
    targetOffset = 0,
  ): Uint8Array {
    const { content, identifier } = this.#crypto;
    if (plaintextLength <= 0 || plaintextLength > content.chunkSize) {
      throw new RangeError(`a chunk of ${plaintextLength} bytes`);
    }
    const aad = this.#crypto.aad(identity);
    const plaintext = content.encrypted
      ? this.#openSealed(stored, aad, plaintextLength)
      : this.#openPlain(stored, aad, plaintextLength);
    if (!equalBytes(identifier.ofData(plaintext), identity))
      throw integrityError('chunk', 'not the content its page names');
    if (target === undefined) return plaintext;
    copyBytes(plaintext, target, targetOffset);
    return target.subarray(targetOffset, targetOffset + plaintextLength);
  }

  #openSealed(stored: Uint8Array, aad: Uint8Array, plaintextLength: number): Uint8Array {
    const cap = plaintextLength + SEALED_OVERHEAD;
    const { codec, payload } = unseal(this.#crypto.cipher, OBJECT_TYPE.chunk, aad, stored, cap, 'chunk');
    const plaintext = decompress(codec, payload, plaintextLength);
    if (plaintext !== payload) freeBytes(payload);
    if (plaintext === undefined) throw integrityError('chunk', `it does not hold ${plaintextLength} bytes`);
    return plaintext;
  }

  #openPlain(stored: Uint8Array, aad: Uint8Array, plaintextLength: number): Uint8Array {
    if (stored.length > maxPlainStored(plaintextLength)) {
      throw integrityError('chunk', `${stored.length} bytes are too many`);
    }
    const opened = readPlainChunk(this.#crypto.content.codec, this.#crypto.signer, aad, stored, plaintextLength);
    if ('fault' in opened) throw integrityError('chunk', opened.fault);
    return opened.plaintext;
  }
}
