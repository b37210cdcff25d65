/**
 * A delta map as a file in dom0's state. Integers are big endian, the bits' words little endian.
 *
 *     0   8  magic
 *     8   4  version, 1
 *    12   4  chunk size
 *    16   8  smallest size seen since the session, bytes
 *    24   8  largest size
 *    32  4n  bits: chunk c is bit c % 32 of word c / 32; n = chunks of the largest size / 32, rounded up; spare
 *            bits are 0
 *         32  SHA-512/256 of everything before
 *
 * Anything else is refused: a wrong bit would be a chunk that is not backed up.
 */
import { hash } from 'node:crypto';
import { endianness } from 'node:os';
import { isChunkSize, MAX_VOLUME_SIZE } from '../../shared/archive/address.ts';
import { DeltaMap } from './delta-map.ts';

const MAGIC = Buffer.from('SBDELTA\x1a', 'latin1');
const VERSION = 1;
const HEADER = 32;
const DIGEST = 32;

/** SHA-512/256. */
export function digest(bytes: Uint8Array): Buffer {
  return hash('sha512-256', bytes, 'buffer');
}

export function encodeDeltaMap(map: DeltaMap): Buffer {
  const bits = map.words.length * 4;
  const file = Buffer.alloc(HEADER + bits + DIGEST);
  MAGIC.copy(file);
  file.writeUInt32BE(VERSION, 8);
  file.writeUInt32BE(map.chunkSize, 12);
  file.writeBigUInt64BE(BigInt(map.smallest), 16);
  file.writeBigUInt64BE(BigInt(map.largest), 24);
  file.set(new Uint8Array(map.words.buffer, map.words.byteOffset, bits), HEADER);
  littleEndian(file.subarray(HEADER, HEADER + bits));
  digest(file.subarray(0, -DIGEST)).copy(file, HEADER + bits);
  return file;
}

/** The map, or why these bytes are not a map. */
export function decodeDeltaMap(file: Uint8Array): DeltaMap | { readonly damaged: string } {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (bytes.length < HEADER + DIGEST || !bytes.subarray(0, 8).equals(MAGIC)) return { damaged: 'not a delta map' };
  if (!digest(bytes.subarray(0, -DIGEST)).equals(bytes.subarray(-DIGEST))) return { damaged: 'its checksum is wrong' };
  if (bytes.readUInt32BE(8) !== VERSION) return { damaged: `version ${bytes.readUInt32BE(8)} is unknown` };
  const chunkSize = bytes.readUInt32BE(12);
  const smallest = Number(bytes.readBigUInt64BE(16));
  const largest = Number(bytes.readBigUInt64BE(24));
  if (!isChunkSize(chunkSize) || largest > MAX_VOLUME_SIZE) return { damaged: 'its sizes are outside the limits' };
  const bits = bytes.length - HEADER - DIGEST;
  if (bits % 4 !== 0) return { damaged: 'its length is wrong' };
  const words = new Uint32Array(bits / 4);
  const copy = Buffer.from(words.buffer);
  copy.set(bytes.subarray(HEADER, HEADER + bits));
  littleEndian(copy);
  return DeltaMap.fromParts(chunkSize, smallest, largest, words) ?? { damaged: 'its bits do not fit its sizes' };
}

/** Converts between this machine's byte order and the file's, in place. */
function littleEndian(words: Buffer): void {
  if (endianness() === 'BE') words.swap32();
}
