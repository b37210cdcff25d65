/**
 * XAES-256-GCM: AES-256-GCM with nonces of 24 bytes, which may be drawn at random without counting messages.
 * Specification and vectors: https://c2sp.org/XAES-256-GCM. A key for AES-256-GCM comes from the first half of the
 * nonce by a KDF of CMAC (one block for each half of it), the second half is the nonce of AES-256-GCM.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type Cipheriv, type KeyObject } from 'node:crypto';
import { copyBytes, freeBytes } from './bytes.ts';

/** In bytes. */
export const KEY_LENGTH = 32;
export const NONCE_LENGTH = 24;
export const TAG_LENGTH = 16;

const BLOCK = 16;
const HALF_NONCE = 12;
/** The constant that CMAC adds when the doubled block overflows (NIST SP 800-38B, 5.3: R for blocks of 128 bits). */
const CMAC_R = 0x87;
/** After the counter in the KDF's block: the label `X` and a zero byte. */
const LABEL = 0x58;

const GCM = { authTagLength: TAG_LENGTH } as const;

export class Xaes256Gcm {
  /** AES of single blocks. ECB carries nothing from block to block, so one object serves every message. */
  readonly #blocks: Cipheriv;
  /** The KDF's two input blocks, already XORed with CMAC's subkey, for a nonce of zeros. */
  readonly #kdfBlocks: Buffer;

  constructor(key: Uint8Array) {
    if (key.length !== KEY_LENGTH) throw new RangeError('an XAES-256-GCM key has 32 bytes');
    this.#blocks = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const subkey = doubled(this.#blocks.update(Buffer.alloc(BLOCK)));
    this.#kdfBlocks = Buffer.concat([subkey, subkey]);
    for (const counter of [1, 2]) {
      const at = (counter - 1) * BLOCK;
      xorByte(this.#kdfBlocks, at + 1, counter);
      xorByte(this.#kdfBlocks, at + 2, LABEL);
    }
  }

  /**
   * Writes ciphertext and tag at `offset` of `target`: the length of all `parts` together plus 16.
   * @param parts the plaintext, in pieces so that the caller need not join them; none may be in `target` at or after
   * `offset`
   * @returns bytes written
   */
  encrypt(
    nonce: Uint8Array,
    aad: Uint8Array,
    parts: readonly Uint8Array[],
    target: Uint8Array,
    offset: number,
  ): number {
    const cipher = createCipheriv('aes-256-gcm', this.#messageKey(nonce), nonce.subarray(HALF_NONCE), GCM);
    cipher.setAAD(aad);
    let end = offset;
    const append = (bytes: Uint8Array): void => {
      copyBytes(bytes, target, end);
      end += bytes.length;
      freeBytes(bytes);
    };
    for (const part of parts) append(cipher.update(part));
    append(cipher.final());
    append(cipher.getAuthTag());
    return end - offset;
  }

  /**
   * @param sealed ciphertext and tag
   * @returns the plaintext; undefined if key, nonce, additional data, ciphertext and tag do not match
   */
  decrypt(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer | undefined {
    const end = sealed.length - TAG_LENGTH;
    if (nonce.length !== NONCE_LENGTH || end < 0) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', this.#messageKey(nonce), nonce.subarray(HALF_NONCE), GCM);
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      // Until this returns, an attacker may have chosen the plaintext.
      decipher.final();
    } catch {
      return undefined;
    }
    return plaintext;
  }

  /** A key object, since with the key's bytes Node takes 20 to 35 µs longer for each message. */
  #messageKey(nonce: Uint8Array): KeyObject {
    if (nonce.length !== NONCE_LENGTH) throw new RangeError('an XAES-256-GCM nonce has 24 bytes');
    const blocks = Buffer.from(this.#kdfBlocks);
    nonce.subarray(0, HALF_NONCE).forEach((byte, index) => {
      xorByte(blocks, BLOCK - HALF_NONCE + index, byte);
      xorByte(blocks, 2 * BLOCK - HALF_NONCE + index, byte);
    });
    return createSecretKey(this.#blocks.update(blocks));
  }
}

/** Twice a block in the field of CMAC: shifted left by one bit, R added on overflow. */
function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK);
  block.forEach((byte, index) => {
    result.writeUInt8(((byte << 1) & 0xff) | ((block[index + 1] ?? 0) >> 7), index);
  });
  if (block.readUInt8(0) >= 0x80) xorByte(result, BLOCK - 1, CMAC_R);
  return result;
}

function xorByte(block: Buffer, at: number, value: number): void {
  block.writeUInt8(block.readUInt8(at) ^ value, at);
}
