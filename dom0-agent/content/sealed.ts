/**
 * Sealed objects: every object of an encrypted archive (docs/format.md, section 5): version, type, nonce, then
 * XAES-256-GCM over a codec byte and the payload.
 */
import { randomBytes } from 'node:crypto';
import { FORMAT_VERSION, type ObjectType } from './aad.ts';
import { codecOf, codecNumber, type Codec } from './compression.ts';
import { integrityError } from './integrity-error.ts';
import { NONCE_LENGTH, TAG_LENGTH, type Xaes256Gcm } from './xaes.ts';

const NONCE_AT = 2;
const CIPHERTEXT_AT = NONCE_AT + NONCE_LENGTH;
/** Bytes that sealing adds to a payload: version, type, nonce, codec, tag. */
export const SEALED_OVERHEAD = CIPHERTEXT_AT + 1 + TAG_LENGTH;

const CODEC_BYTES = [Buffer.of(0), Buffer.of(1), Buffer.of(2)] as const;

export function codecByte(codec: Codec): Uint8Array {
  return CODEC_BYTES[codecNumber(codec)];
}

export interface Unsealed {
  readonly codec: Codec;
  /** A view of a fresh buffer. */
  readonly payload: Uint8Array;
}

/**
 * Writes a sealed object at `offset` of `target`.
 * @param aad of aad.ts, for the same type
 * @param nonce 24 bytes, never used with another payload under this key
 * @returns bytes written: the payload's and SEALED_OVERHEAD
 */
export function sealInto(
  cipher: Xaes256Gcm,
  type: ObjectType,
  aad: Uint8Array,
  { codec, payload }: Unsealed,
  nonce: Uint8Array,
  target: Uint8Array,
  offset: number,
): number {
  target[offset] = FORMAT_VERSION;
  target[offset + 1] = type;
  target.set(nonce, offset + NONCE_AT);
  return CIPHERTEXT_AT + cipher.encrypt(nonce, aad, [codecByte(codec), payload], target, offset + CIPHERTEXT_AT);
}

/** A sealed object, uncompressed, with a random nonce: for everything but chunks. */
export function seal(cipher: Xaes256Gcm, type: ObjectType, aad: Uint8Array, payload: Uint8Array): Uint8Array {
  const stored = new Uint8Array(payload.length + SEALED_OVERHEAD);
  sealInto(cipher, type, aad, { codec: 'none', payload }, randomBytes(NONCE_LENGTH), stored, 0);
  return stored;
}

/**
 * Authenticates a sealed object; decompressing is left to the caller, which knows the limit of its length.
 * @param maxLength the stored length in bytes above which it is not even decrypted
 * @param what names the object in the error
 * @throws SparsebakError `integrity`
 */
export function unseal(
  cipher: Xaes256Gcm,
  type: ObjectType,
  aad: Uint8Array,
  stored: Uint8Array,
  maxLength: number,
  what: string,
): Unsealed {
  if (stored.length > maxLength) throw integrityError(what, `${stored.length} bytes are too many`);
  if (stored.length < SEALED_OVERHEAD) throw integrityError(what, `cut short: ${stored.length} bytes`);
  if (stored[0] !== FORMAT_VERSION) throw integrityError(what, `unknown format version ${String(stored[0])}`);
  if (stored[1] !== type) throw integrityError(what, 'an object of another type is in its place');
  const opened = cipher.decrypt(stored.subarray(NONCE_AT, CIPHERTEXT_AT), aad, stored.subarray(CIPHERTEXT_AT));
  if (opened === undefined) throw integrityError(what, 'damaged, or made for another place or with another key');
  const codec = codecOf(opened.readUInt8(0));
  if (codec === undefined) throw integrityError(what, `unknown codec ${opened.readUInt8(0)}`);
  return { codec, payload: opened.subarray(1) };
}

/** The payload of an object that is never compressed: everything but chunks. */
export function unsealPlain(...args: Parameters<typeof unseal>): Uint8Array {
  const { codec, payload } = unseal(...args);
  if (codec !== 'none') throw integrityError(args[5], `codec ${codec} is not allowed for this type of object`);
  return payload;
}
