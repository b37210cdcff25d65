/**
 * The MAC of an archive: HMAC (RFC 2104) with one of two hashes, chosen when the archive is created (docs/format.md,
 * section 3). With SHA instructions SHA-256 is about three times as fast as BLAKE2b, without them half as fast.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { MacName } from './mac-names.ts';

/** OpenSSL's names. */
const HASHES = { blake2b: 'blake2b512', sha256: 'sha256' } as const satisfies Record<MacName, string>;

/** The longest MAC that is used, in bytes: all of HMAC-SHA-256, half of HMAC-BLAKE2b-512. */
export const MAC_LENGTH = 32;

export class Mac {
  readonly #hash: (typeof HASHES)[MacName];
  /** Not the bytes: with these `createHmac` takes 18 µs longer (4 µs with a key object). */
  readonly #key: KeyObject;

  /** @param key 32 bytes, used for nothing else */
  constructor(name: MacName, key: Uint8Array) {
    this.#hash = HASHES[name];
    this.#key = createSecretKey(key);
  }

  /**
   * The beginning of the MAC of `parts` joined.
   * @param length bytes, up to MAC_LENGTH
   */
  of(length: number, ...parts: readonly Uint8Array[]): Buffer {
    if (length > MAC_LENGTH) throw new RangeError(`a MAC of ${length} bytes`);
    const hmac = createHmac(this.#hash, this.#key);
    for (const part of parts) hmac.update(part);
    return hmac.digest().subarray(0, length);
  }
}
