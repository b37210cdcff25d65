/** The value that stands for a chunk's plaintext in its page (docs/format.md, section 3). */
import { equalBytes, isZeroBytes } from './bytes.ts';
import { HASH_LENGTH, ZERO_HASH } from './hash.ts';
import type { MacName } from './mac-names.ts';
import { Mac } from './mac.ts';

/** Bytes. */
export const IDENTITY_LENGTH = HASH_LENGTH;

/** The identity of a chunk that is all zeros, which is never sealed. Never write to it. */
export const ZERO_IDENTITY: Uint8Array = ZERO_HASH;

export function isZeroIdentity(identity: Uint8Array): boolean {
  return equalBytes(identity, ZERO_IDENTITY);
}

/** Whether a chunk is all zeros. */
export const isZeroChunk: (plaintext: Uint8Array) => boolean = isZeroBytes;

/** Makes identities with one archive's key. */
export class Identifier {
  readonly #mac: Mac;

  /** @param key K_id, 32 bytes */
  constructor(mac: MacName, key: Uint8Array) {
    this.#mac = new Mac(mac, key);
  }

  /** The identity (32 bytes) of a chunk: zeros if the chunk is all zeros, otherwise a MAC. */
  of(plaintext: Uint8Array): Buffer {
    return isZeroChunk(plaintext) ? Buffer.alloc(IDENTITY_LENGTH) : this.ofData(plaintext);
  }

  /** The same for a chunk that is known not to be all zeros. */
  ofData(plaintext: Uint8Array): Buffer {
    return this.#mac.of(IDENTITY_LENGTH, plaintext);
  }
}
