/**
 * Signed objects: heads and catalogues of a plain archive, readable without the key and verified with it
 * (docs/format.md, section 6). Version, type, codec 0, payload, MAC.
 */
import { timingSafeEqual } from 'node:crypto';
import { FORMAT_VERSION, type ObjectType } from './aad.ts';
import { integrityError } from './integrity-error.ts';
import type { MacName } from './mac-names.ts';
import { MAC_LENGTH, Mac } from './mac.ts';

const PAYLOAD_AT = 3;
/** Bytes that signing adds to a payload. */
export const SIGNED_OVERHEAD = PAYLOAD_AT + MAC_LENGTH;

/** MACs of a plain archive, over the additional data and the covered bytes, with K_mac. */
export class Signer {
  readonly #mac: Mac;

  /** @param key K_mac, 32 bytes */
  constructor(mac: MacName, key: Uint8Array) {
    this.#mac = new Mac(mac, key);
  }

  /** @param length of the MAC, in bytes */
  mac(aad: Uint8Array, covered: Uint8Array, length: number): Buffer {
    return this.#mac.of(length, aad, covered);
  }

  /** Whether `mac` is that of `covered`, compared in constant time; the caller determines its length. */
  verify(aad: Uint8Array, covered: Uint8Array, mac: Uint8Array): boolean {
    return timingSafeEqual(this.mac(aad, covered, mac.length), mac);
  }

  sign(type: ObjectType, aad: Uint8Array, payload: Uint8Array): Uint8Array {
    const stored = new Uint8Array(payload.length + SIGNED_OVERHEAD);
    stored.set([FORMAT_VERSION, type, 0]);
    stored.set(payload, PAYLOAD_AT);
    const end = stored.length - MAC_LENGTH;
    stored.set(this.mac(aad, stored.subarray(0, end), MAC_LENGTH), end);
    return stored;
  }

  /**
   * The payload of a signed object, a view of `stored`.
   * @param maxLength the stored length in bytes above which nothing is computed
   * @param what names the object in the error
   * @throws SparsebakError `integrity`
   */
  open(type: ObjectType, aad: Uint8Array, stored: Uint8Array, maxLength: number, what: string): Uint8Array {
    if (stored.length > maxLength) throw integrityError(what, `${stored.length} bytes are too many`);
    const payload = signedPayload(type, stored, what);
    const end = stored.length - MAC_LENGTH;
    if (!this.verify(aad, stored.subarray(0, end), stored.subarray(end))) {
      throw integrityError(what, 'damaged, or signed for another place or with another key');
    }
    return payload;
  }
}

/**
 * The payload of an object of this type, whoever wrote it: the MAC is not checked. @throws SparsebakError `integrity`
 */
export function signedPayload(type: ObjectType, stored: Uint8Array, what: string): Uint8Array {
  if (stored.length < SIGNED_OVERHEAD) throw integrityError(what, `cut short: ${stored.length} bytes`);
  if (stored[0] !== FORMAT_VERSION) throw integrityError(what, `unknown format version ${String(stored[0])}`);
  if (stored[1] !== type) throw integrityError(what, 'an object of another type is in its place');
  if (stored[2] !== 0) throw integrityError(what, 'it has a codec, which is not allowed for this type of object');
  return stored.subarray(PAYLOAD_AT, stored.length - MAC_LENGTH);
}
