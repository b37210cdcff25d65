/**
 * Reads a plain archive's objects without its key, if the key is lost: only their form is checked. Not used if there is
 * a key; the result may be anything that the receiver makes up.
 */
import { OBJECT_TYPE } from './aad.ts';
import { CODECS, decompress, type Codec } from './compression.ts';
import { integrityError } from './integrity-error.ts';
import { decodeHead, type Head } from './head.ts';
import { PLAIN_STARTS, PLAIN_MAC_LENGTH } from './plain-chunk.ts';
import { signedPayload } from './signed.ts';

/** @throws SparsebakError `integrity` if it is not a head of a plain archive */
export function readHeadUnauthenticated(stored: Uint8Array, what: string): Head {
  return decodeHead(signedPayload(OBJECT_TYPE.head, stored, what), what);
}

/**
 * The codec that a chunk's file seems to have. A guest's own bytes may look like one, too: several chunks must agree.
 */
export function codecOfChunks(chunks: readonly Uint8Array[]): Codec {
  const looksLike = (codec: 'gzip' | 'zstd') => {
    const start = PLAIN_STARTS[codec];
    return chunks.length > 0 && chunks.every((stored) => start.equals(stored.subarray(0, start.length)));
  };
  return CODECS.find((codec) => codec !== 'none' && looksLike(codec)) ?? 'none';
}

/**
 * @param length of the plaintext, in bytes
 * @throws SparsebakError `integrity` if it does not have that length
 */
export function readChunkUnauthenticated(codec: Codec, stored: Uint8Array, length: number, what: string): Uint8Array {
  const body = codec === 'zstd' ? stored.subarray(PLAIN_STARTS.zstd.length + PLAIN_MAC_LENGTH) : stored;
  const plaintext = decompress(codec, body, length);
  if (plaintext === undefined) throw integrityError(what, `it does not hold ${length} bytes`);
  return plaintext;
}
