/**
 * Chunks of a plain archive: files that gzip and zstd can read, with a MAC if the file format has a place for it
 * (docs/format.md, section 6).
 */
import { copyBytes, freeBytes } from './bytes.ts';
import { decompress, gzip, isIncompressible, zstd, zstdBound, type Codec } from './compression.ts';
import type { Signer } from './signed.ts';

export const PLAIN_MAC_LENGTH = 16;

/** gzip with FEXTRA, no time, system unknown; an extra field of 20 bytes: subfield `SB` of 16 (RFC 1952, 2.3). */
const GZIP_START = Buffer.from('1f8b08040000000000ff140053421000', 'hex');
/** The length of zlib's header, which ours replaces. */
const GZIP_OWN_HEADER = 10;
/** A zstd skippable frame of 16 bytes (RFC 8878, 3.1.2). */
const ZSTD_START = Buffer.from('502a4d1810000000', 'hex');

/** The beginning of a plain chunk's file, before its MAC. */
export const PLAIN_STARTS = { gzip: GZIP_START, zstd: ZSTD_START } as const;

/** The most bytes that a plain chunk of `length` bytes takes, with any codec. */
export function maxPlainStored(length: number): number {
  return zstdBound(length) + GZIP_START.length + PLAIN_MAC_LENGTH + 32;
}

/**
 * Writes the chunk's file at `offset` of `target`.
 * @param aad the chunk's
 * @returns bytes written
 */
export function writePlainChunk(
  codec: Codec,
  level: number,
  signer: Signer,
  aad: Uint8Array,
  plaintext: Uint8Array,
  target: Uint8Array,
  offset: number,
): number {
  if (codec === 'none') {
    copyBytes(plaintext, target, offset);
    return plaintext.length;
  }
  const start = PLAIN_STARTS[codec];
  const body = compressed(codec, level, plaintext);
  const bodyAt = start.length + PLAIN_MAC_LENGTH;
  target.set(start, offset);
  target.set(signer.mac(aad, body, PLAIN_MAC_LENGTH), offset + start.length);
  copyBytes(body, target, offset + bodyAt);
  const length = bodyAt + body.length;
  freeBytes(body);
  return length;
}

function compressed(codec: 'zstd' | 'gzip', level: number, plaintext: Uint8Array): Uint8Array {
  if (codec === 'zstd') return zstd(plaintext, level);
  return gzip(plaintext, isIncompressible(plaintext) ? 0 : level).subarray(GZIP_OWN_HEADER);
}

export type PlainChunk = { readonly plaintext: Uint8Array } | { readonly fault: string };

/**
 * The plaintext, not yet compared with the identity; for codec `none` only that comparison proves it.
 * @param plaintextLength bytes expected
 */
export function readPlainChunk(
  codec: Codec,
  signer: Signer,
  aad: Uint8Array,
  stored: Uint8Array,
  plaintextLength: number,
): PlainChunk {
  if (codec !== 'none') {
    const start = PLAIN_STARTS[codec];
    const bodyAt = start.length + PLAIN_MAC_LENGTH;
    if (stored.length < bodyAt) return { fault: 'cut short' };
    if (start.compare(stored, 0, start.length) !== 0) return { fault: `not a ${codec} file of this archive` };
    if (!signer.verify(aad, stored.subarray(bodyAt), stored.subarray(start.length, bodyAt))) {
      return { fault: 'damaged, or it is another chunk' };
    }
  }
  // Node stops after the first frame, which would be the skippable one.
  const body = codec === 'zstd' ? stored.subarray(ZSTD_START.length + PLAIN_MAC_LENGTH) : stored;
  const plaintext = decompress(codec, body, plaintextLength);
  return plaintext === undefined ? { fault: `it does not hold ${plaintextLength} bytes` } : { plaintext };
}
