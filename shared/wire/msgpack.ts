/**
 * Maps to and from the msgpack subset that scan.ts takes: messages on the wire, and the heads, catalogues and slots of
 * the archive (docs/format.md). An object always gives the same bytes, since some are signed.
 */
// The build of msgpackr that cannot make functions from text. It has no native accelerator either.
import { Unpackr } from 'msgpackr/unpack-no-eval';
import { SparsebakError, asSparsebakError } from '../errors.ts';
import { MAX_DEPTH, MAX_ENTRIES, MAX_VALUES, scan } from './scan.ts';

// Binary values stay views of the decoded bytes (copyBuffers is off). The scan stops records, the decoder's own
// extension; without useRecords it keeps no definitions either.
const decoder = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/**
 * The map as an object. Its binary values are views of `bytes`, so slice() those that are kept longer. Throws
 * `protocol` for anything but one map of the subset.
 */
export function decodeMap(bytes: Uint8Array): Record<string, unknown> {
  scan(bytes);
  try {
    // A separate view, since msgpackr adds a property to its input; and never a Buffer, whose slice() (and that of
    // every value in it) does not copy.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return decoder.unpack(view) as Record<string, unknown>;
  } catch (error) {
    // Nothing that passed the scan should get here.
    throw asSparsebakError(error, 'protocol', 'the msgpack decoder');
  }
}

/**
 * The object as a map: keys in the object's own order, each value in its shortest encoding, integers never as floats.
 * Takes what `decodeMap` returns: plain objects, arrays, strings, Uint8Array, integers from 0 to 2^53-1, booleans,
 * null. Throws `failed` for anything else (also undefined), and for what the other side's scan would refuse.
 *
 * The first `ahead` bytes are left for the caller, as zeros.
 */
export function encodeMap(object: Readonly<Record<string, unknown>>, ahead = 0): Uint8Array {
  if (!isPlainObject(object)) throw refusal('the outermost value is not a plain object');
  const size = new Measure().value(object, 1);
  const writer = new Writer(ahead, size);
  writer.value(object);
  return new Uint8Array(writer.bytes.buffer, writer.bytes.byteOffset, writer.bytes.length);
}

/** Bytes that a value takes when encoded; refuses values that the subset does not have. */
class Measure {
  #values = 0;

  value(value: unknown, depth: number): number {
    if (++this.#values > MAX_VALUES) throw refusal(`more than ${MAX_VALUES} values`);
    if (value === null || typeof value === 'boolean') return 1;
    if (typeof value === 'number') return sizeOfUint(value);
    if (typeof value === 'string') return sizeOfString(value);
    if (value instanceof Uint8Array) return sizeOfLength(value.length, 0) + value.length;
    if (Array.isArray(value)) return this.#entries(value, 0, value.length, depth);
    if (!isPlainObject(value)) throw refusal(`a value of type ${typeof value}`);
    const keys = Object.keys(value);
    if (keys.includes('__proto__')) throw refusal('the key __proto__');
    const keysSize = keys.reduce((sum, key) => sum + sizeOfString(key), 0);
    return this.#entries(Object.values(value), keysSize, keys.length, depth);
  }

  #entries(values: readonly unknown[], keysSize: number, count: number, depth: number): number {
    if (depth > MAX_DEPTH) throw refusal(`nested more than ${MAX_DEPTH} deep`);
    if (count > MAX_ENTRIES) throw refusal(`${count} entries, more than the ${MAX_ENTRIES} allowed`);
    let size = (count < 16 ? 1 : 3) + keysSize;
    // An index instead of for…of or reduce, so that a hole in an array is found as undefined.
    for (let index = 0; index < count; index++) size += this.value(values[index], depth + 1);
    return size;
  }
}

/** Writes values that were measured. */
class Writer {
  readonly bytes: Buffer;
  #at: number;

  constructor(ahead: number, size: number) {
    this.bytes = Buffer.allocUnsafe(ahead + size).fill(0, 0, ahead);
    this.#at = ahead;
  }

  value(value: unknown): void {
    if (value === null) this.#at = this.bytes.writeUInt8(0xc0, this.#at);
    else if (typeof value === 'boolean') this.#at = this.bytes.writeUInt8(value ? 0xc3 : 0xc2, this.#at);
    else if (typeof value === 'number') this.#uint(value);
    else if (typeof value === 'string') this.#string(value);
    else if (value instanceof Uint8Array) this.#bin(value);
    else if (Array.isArray(value)) {
      this.#count(value.length, 0x90, 0xdc);
      for (const entry of value) this.value(entry);
    } else {
      const entries = Object.entries(value as object);
      this.#count(entries.length, 0x80, 0xde);
      for (const [key, entry] of entries) {
        this.#string(key);
        this.value(entry);
      }
    }
  }

  #uint(value: number): void {
    if (value <= 0x7f) this.#at = this.bytes.writeUInt8(value, this.#at);
    else if (value <= 0xff) this.#lead(0xcc, 1, value);
    else if (value <= 0xffff) this.#lead(0xcd, 2, value);
    else if (value <= 0xffff_ffff) this.#lead(0xce, 4, value);
    else {
      this.#lead(0xcf, 4, Math.floor(value / 2 ** 32));
      this.#at = this.bytes.writeUInt32BE(value % 2 ** 32, this.#at);
    }
  }

  #string(value: string): void {
    const length = Buffer.byteLength(value);
    if (length < 32) this.#at = this.bytes.writeUInt8(0xa0 | length, this.#at);
    else this.#length(length, 0xd9);
    this.#at += this.bytes.write(value, this.#at);
  }

  #bin(value: Uint8Array): void {
    this.#length(value.length, 0xc4);
    this.bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #count(count: number, fix: number, wide: number): void {
    if (count < 16) this.#at = this.bytes.writeUInt8(fix | count, this.#at);
    else this.#lead(wide, 2, count);
  }

  /** The three widths of a length are consecutive in msgpack's table. */
  #length(length: number, first: number): void {
    if (length <= 0xff) this.#lead(first, 1, length);
    else if (length <= 0xffff) this.#lead(first + 1, 2, length);
    else this.#lead(first + 2, 4, length);
  }

  #lead(type: number, width: 1 | 2 | 4, value: number): void {
    this.#at = this.bytes.writeUInt8(type, this.#at);
    this.#at = this.bytes.writeUIntBE(value, this.#at, width);
  }
}

function sizeOfUint(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw refusal(`the number ${value}`);
  if (value <= 0x7f) return 1;
  if (value <= 0xff) return 2;
  if (value <= 0xffff) return 3;
  return value <= 0xffff_ffff ? 5 : 9;
}

function sizeOfString(value: string): number {
  if (/\p{Surrogate}/u.test(value)) throw refusal('a string with half a surrogate pair');
  if (value.startsWith('\ufeff')) throw refusal('a string that begins with a byte order mark');
  const length = Buffer.byteLength(value);
  return sizeOfLength(length, 32) + length;
}

/** Bytes of the type and the length; 1 for a length below `fix`. */
function sizeOfLength(length: number, fix: number): number {
  if (length < fix) return 1;
  if (length <= 0xff) return 2;
  if (length <= 0xffff) return 3;
  if (length <= 0xffff_ffff) return 5;
  throw refusal(`${length} bytes in one value`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function refusal(what: string): SparsebakError {
  return new SparsebakError('failed', `cannot be encoded as msgpack: ${what}`);
}
