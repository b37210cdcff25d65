/**
 * The strict scan that every map from outside passes before a general decoder sees it (docs/protocol.md, section 1).
 *
 * Accepted, in msgpack's own names (https://github.com/msgpack/msgpack/blob/master/spec.md):
 *   - outermost exactly one map, and nothing after it
 *   - fixmap, map 16, map 32: keys are strings, none twice, none `__proto__`
 *   - fixarray, array 16, array 32
 *   - fixstr, str 8, str 16, str 32: valid UTF-8 that does not begin with a byte order mark
 *   - bin 8, bin 16, bin 32
 *   - positive fixint, uint 8, uint 16, uint 32, uint 64 up to 2^53-1
 *   - true, false, nil
 * with maps and arrays nested 8 deep at the most, 4096 entries in each, 131072 values in all. A value need not have its
 * shortest encoding.
 *
 * Everything else is refused: int 8 to int 64 and negative fixint (whatever the value), float 32 and 64, every ext
 * (timestamps, and msgpackr's own, which define record types and clone whole graphs), 0xc1, and any value that runs
 * past the end.
 *
 * Why the caps: a byte of msgpack can become some hundred bytes of objects. Why no byte order mark: the decoder drops
 * it from the front of long strings, which would make two different keys equal. The scan itself allocates a string for
 * each key, and nothing for a value that it has not yet seen completely.
 */
import { isUtf8 } from 'node:buffer';
import { SparsebakError } from '../errors.ts';

/** Maps and arrays inside one another, the outermost map counted. */
export const MAX_DEPTH = 8;
/** Entries of one map or array. */
export const MAX_ENTRIES = 4096;
/** Values in all, keys not counted. */
export const MAX_VALUES = 128 * 1024;

/** Checks that the bytes are one map of the subset. Throws `protocol` with the offset and the reason. */
export function scan(bytes: Uint8Array): void {
  new Scanner(bytes).scanWhole();
}

class Scanner {
  readonly #bytes: Buffer;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  scanWhole(): void {
    const first = this.#bytes[0];
    if (first === undefined) throw refusal(0, 'there is nothing');
    const isMap = (first & 0xf0) === 0x80 || first === 0xde || first === 0xdf;
    if (!isMap) throw refusal(0, 'the outermost value is not a map');
    this.#value(1);
    if (this.#at !== this.#bytes.length) throw refusal(this.#at, `${this.#left} bytes after the map`);
  }

  get #left(): number {
    return this.#bytes.length - this.#at;
  }

  /** `depth`: that of a map or array here; the outermost has 1. */
  #value(depth: number): void {
    const start = this.#at;
    const byte = this.#uint(1);
    if (++this.#values > MAX_VALUES) throw refusal(start, `more than ${MAX_VALUES} values`);
    if (byte <= 0x7f) return;
    if (byte <= 0x8f) this.#map(start, byte & 0x0f, depth);
    else if (byte <= 0x9f) this.#array(start, byte & 0x0f, depth);
    else if (byte <= 0xbf) this.#string(start, byte & 0x1f);
    else this.#typed(start, byte, depth);
  }

  /** A value whose first byte is only a type. The widths of one type are consecutive: 1, 2, 4 bytes. */
  #typed(start: number, byte: number, depth: number): void {
    switch (byte) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        break;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        this.#skip(this.#uint(1 << (byte - 0xc4)));
        break;
      case 0xcc:
      case 0xcd:
      case 0xce:
        this.#skip(1 << (byte - 0xcc));
        break;
      case 0xcf:
        this.#uint64(start);
        break;
      case 0xd9:
      case 0xda:
      case 0xdb:
        this.#string(start, this.#uint(1 << (byte - 0xd9)));
        break;
      case 0xdc:
      case 0xdd:
        this.#array(start, this.#uint(2 << (byte - 0xdc)), depth);
        break;
      case 0xde:
      case 0xdf:
        this.#map(start, this.#uint(2 << (byte - 0xde)), depth);
        break;
      default:
        throw refusal(start, `${describe(byte)} (0x${byte.toString(16)}) is not allowed`);
    }
  }

  #map(start: number, entries: number, depth: number): void {
    this.#checkContainer(start, entries, 2 * entries, depth);
    const keys = new Set<string>();
    for (let entry = 0; entry < entries; entry++) {
      const keyStart = this.#at;
      const key = this.#key();
      if (key === '__proto__') throw refusal(keyStart, 'the key __proto__');
      if (keys.has(key)) throw refusal(keyStart, 'the same key twice');
      keys.add(key);
      this.#value(depth + 1);
    }
  }

  #array(start: number, entries: number, depth: number): void {
    this.#checkContainer(start, entries, entries, depth);
    for (let entry = 0; entry < entries; entry++) this.#value(depth + 1);
  }

  #checkContainer(start: number, entries: number, leastBytes: number, depth: number): void {
    if (depth > MAX_DEPTH) throw refusal(start, `nested more than ${MAX_DEPTH} deep`);
    if (entries > MAX_ENTRIES) throw refusal(start, `${entries} entries, more than the ${MAX_ENTRIES} allowed`);
    if (leastBytes > this.#left) throw refusal(start, `${entries} entries, more than the remaining bytes can hold`);
  }

  #key(): string {
    const start = this.#at;
    const byte = this.#uint(1);
    let length: number;
    if ((byte & 0xe0) === 0xa0) length = byte & 0x1f;
    else if (byte >= 0xd9 && byte <= 0xdb) length = this.#uint(1 << (byte - 0xd9));
    else throw refusal(start, 'a key that is not a string');
    const from = this.#at;
    this.#string(start, length);
    return this.#bytes.toString('utf8', from, this.#at);
  }

  #string(start: number, length: number): void {
    const from = this.#at;
    this.#skip(length);
    const bytes = this.#bytes.subarray(from, this.#at);
    if (!isUtf8(bytes)) throw refusal(start, 'a string that is not valid UTF-8');
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
      throw refusal(start, 'a string that begins with a byte order mark');
    }
  }

  #uint64(start: number): void {
    if (this.#uint(4) > 0x1f_ffff) throw refusal(start, 'an integer above 2^53-1');
    this.#skip(4);
  }

  /** Reads an unsigned integer of 1, 2 or 4 bytes. */
  #uint(width: number): number {
    const from = this.#at;
    this.#skip(width);
    return this.#bytes.readUIntBE(from, width);
  }

  #skip(length: number): void {
    if (length > this.#left) {
      throw refusal(this.#at, `${length} bytes are expected, and ${this.#left} are left`);
    }
    this.#at += length;
  }
}

function describe(byte: number): string {
  if (byte === 0xca || byte === 0xcb) return 'a float';
  if (byte >= 0xe0 || (byte >= 0xd0 && byte <= 0xd3)) return 'a signed integer';
  return byte === 0xc1 ? 'the unused type' : 'an extension';
}

function refusal(offset: number, reason: string): SparsebakError {
  return new SparsebakError('protocol', `refused at byte ${offset}: ${reason}`);
}
