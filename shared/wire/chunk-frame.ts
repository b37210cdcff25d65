/**
 * The two messages that carry a volume's data, with headers of fixed width: the data is put in place first (by the
 * worker that seals it, or by the read of a file) and the header is written before it, without a copy. To a decoder
 * they are like any other frame; their widest encodings are legal msgpack.
 *
 *   chunk   length u32 ‖ 83 ‖ "t" "chunk"  ‖ "address" cf u64 ‖ "data" c6 u32 ‖ data
 *   stored  length u32 ‖ 84 ‖ "t" "stored" ‖ "re" cf u64 ‖ "address" cf u64 ‖ "data" c6 u32 ‖ data
 */
import { SparsebakError } from '../errors.ts';
import { LENGTH_PREFIX } from './frame.ts';

const UINT_64 = '\xcf\0\0\0\0\0\0\0\0';
const BIN_32 = '\xc6\0\0\0\0';
const chunkTemplate = Buffer.from(`\0\0\0\0\x83\xa1t\xa5chunk\xa7address${UINT_64}\xa4data${BIN_32}`, 'latin1');
const storedTemplate = Buffer.from(
  `\0\0\0\0\x84\xa1t\xa6stored\xa2re${UINT_64}\xa7address${UINT_64}\xa4data${BIN_32}`,
  'latin1',
);

/** Bytes before the data in a `chunk` frame, including the length prefix. */
export const CHUNK_HEADER = chunkTemplate.length;
/** Bytes before the data in a `stored` frame whose data is not nil, including the length prefix. */
export const STORED_HEADER = storedTemplate.length;

// Offsets in the templates.
const DATA_LENGTH_FROM_END = 4;
const ADDRESS_FROM_END = 8 + '\xa4data'.length + BIN_32.length;
const RE_IN_STORED = storedTemplate.indexOf('\xa2re\xcf', 0, 'latin1') + 4;

/**
 * Writes the header of a `chunk` whose data of `dataLength` bytes is (or will be) at `offset + CHUNK_HEADER`. Returns
 * the length of the whole frame on the wire. `address` in bytes.
 */
export function writeChunkHeader(target: Uint8Array, offset: number, address: number, dataLength: number): number {
  return writeHeader(chunkTemplate, target, offset, address, dataLength);
}

/** The same for a `stored` that answers request `re`, with its data at `offset + STORED_HEADER`. */
export function writeStoredHeader(
  target: Uint8Array,
  offset: number,
  re: number,
  address: number,
  dataLength: number,
): number {
  const total = writeHeader(storedTemplate, target, offset, address, dataLength);
  writeUint64(target, offset + RE_IN_STORED, re);
  return total;
}

function writeHeader(
  template: Uint8Array,
  target: Uint8Array,
  offset: number,
  address: number,
  dataLength: number,
): number {
  const end = offset + template.length;
  if (!Number.isSafeInteger(offset) || offset < 0 || end > target.length) {
    throw new SparsebakError('failed', `no room for a header at ${offset} of ${target.length} bytes`);
  }
  const total = template.length + dataLength;
  if (!Number.isSafeInteger(dataLength) || dataLength < 0 || total - LENGTH_PREFIX > 0xffff_ffff) {
    throw new SparsebakError('failed', `${dataLength} bytes of data do not fit a frame`);
  }
  target.set(template, offset);
  writeUint32(target, offset, total - LENGTH_PREFIX);
  writeUint64(target, end - ADDRESS_FROM_END, address);
  writeUint32(target, end - DATA_LENGTH_FROM_END, dataLength);
  return total;
}

function writeUint64(target: Uint8Array, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new SparsebakError('failed', `${value} is not an address or id`);
  writeUint32(target, at, Math.floor(value / 2 ** 32));
  writeUint32(target, at + 4, value % 2 ** 32);
}

/** No DataView: the target differs each time, so a view would cost an allocation per frame. */
function writeUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}
