/**
 * Compression of chunks: a closed set of codecs, and decompression that never returns more than the expected length.
 * Only authenticated bytes are decompressed.
 */
// Imported as a namespace: with named imports an older Node without zstd would end in a SyntaxError before main.ts can
// say what is missing.
import * as zlib from 'node:zlib';
import { MAX_CHUNK_SIZE } from '../../shared/archive/address.ts';

export const CODECS = ['none', 'zstd', 'gzip'] as const;
export type Codec = (typeof CODECS)[number];

/** The lowest and highest level of each codec. */
export const LEVELS = { none: [0, 0], zstd: [1, 19], gzip: [1, 9] } as const satisfies Record<
  Codec,
  readonly [number, number]
>;

const NUMBERS = { none: 0, zstd: 1, gzip: 2 } as const satisfies Record<Codec, number>;

/** The codec's number in a sealed object. */
export function codecNumber(codec: Codec): 0 | 1 | 2 {
  return NUMBERS[codec];
}

export function codecOf(number: number): Codec | undefined {
  return CODECS[number];
}

export function isLevel(codec: Codec, level: number): boolean {
  const [lowest, highest] = LEVELS[codec];
  return Number.isInteger(level) && level >= lowest && level <= highest;
}

/**
 * The longest zstd output for `length` bytes (ZSTD_COMPRESSBOUND). With an output buffer of at least this, zstd works
 * in one pass without internal buffers, and Node does not join pieces: 10 % faster than Node's 16 KiB.
 */
export function zstdBound(length: number): number {
  const small = 128 * 1024;
  return length + (length >> 8) + (length < small ? (small - length) >> 11 : 0);
}

/** One zstd frame that contains its content's size; its window is no larger than the content. */
export function zstd(plaintext: Uint8Array, level: number): Buffer {
  return zlib.zstdCompressSync(plaintext, {
    chunkSize: roomFor(zstdBound(plaintext.length)),
    params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
  });
}

/** One gzip member with the ordinary header of 10 bytes. Level 0 stores: 5 bytes for each 64 KiB or less. */
export function gzip(plaintext: Uint8Array, level: number): Buffer {
  return zlib.gzipSync(plaintext, { level, chunkSize: roomFor(zstdBound(plaintext.length)) });
}

const SAMPLES = 4;
const SAMPLE_LENGTH = 4096;
/** A smaller gain, in percent, is not worth deflate's time. */
const WORTHWHILE_PERCENT = 2;

/**
 * Whether deflate would not make a chunk smaller, found with zstd. Deflate takes as long for incompressible data as for
 * other data (60 MB/s here), zstd skips it at 5 GB/s; of compressible chunks only a sample is tried. (zstd itself needs
 * no such test.)
 */
export function isIncompressible(plaintext: Uint8Array): boolean {
  const length = plaintext.length;
  if (length <= SAMPLES * SAMPLE_LENGTH) return false;
  const sample = Buffer.allocUnsafe(SAMPLES * SAMPLE_LENGTH);
  for (let index = 0; index < SAMPLES; index++) {
    const from = Math.floor(((length - SAMPLE_LENGTH) * index) / (SAMPLES - 1));
    sample.set(plaintext.subarray(from, from + SAMPLE_LENGTH), index * SAMPLE_LENGTH);
  }
  return !isCompressible(sample) && !isCompressible(plaintext);
}

function isCompressible(bytes: Uint8Array): boolean {
  return zstd(bytes, 1).length < bytes.length * (1 - WORTHWHILE_PERCENT / 100);
}

/** 4 MiB, the largest chunk: no frame of sparsebak's needs more memory for reading. */
const WINDOW_LOG_MAX = Math.log2(MAX_CHUNK_SIZE);

/**
 * Decompresses to exactly `length` bytes; undefined if the payload is damaged, longer, or shorter.
 * @param length the plaintext's, 1 or more
 */
export function decompress(codec: Codec, payload: Uint8Array, length: number): Uint8Array | undefined {
  if (codec === 'none') return payload.length === length ? payload : undefined;
  // A few bytes more than expected: if the output exactly fills the buffer, Node allocates a second one to ask for
  // more.
  const limits = { chunkSize: roomFor(length), maxOutputLength: length } satisfies zlib.ZlibOptions & zlib.ZstdOptions;
  try {
    const plaintext =
      codec === 'zstd'
        ? zlib.zstdDecompressSync(payload, {
            ...limits,
            params: { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
          })
        : zlib.gunzipSync(payload, limits);
    return plaintext.length === length ? plaintext : undefined;
  } catch {
    // The error would add nothing useful to "damaged", whether it is a decompression bomb or a broken stream.
    return undefined;
  }
}

/** Node does not accept an output buffer below 64 bytes. */
function roomFor(length: number): number {
  return length + 64;
}
