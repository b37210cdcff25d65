/** W11: every way out of the subset, one by one. A vector is the whole frame, in hexadecimal. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_DEPTH, MAX_ENTRIES, MAX_VALUES, scan } from '../../../shared/wire/scan.ts';
import { decodeMap } from '../../../shared/wire/msgpack.ts';
import { isProtocolError } from './expect.ts';

/** A map of one entry, key "a". */
const around = (value: string): string => `81a161${value}`;
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const word = (value: number): string => value.toString(16).padStart(8, '0');
const nested = (depth: number): string => around('91'.repeat(depth - 2) + '90');

const taken: Readonly<Record<string, string>> = {
  'an empty map': '80',
  'an empty map 16': 'de 0000',
  'an empty map 32': 'df 00000000',
  nil: around('c0'),
  false: around('c2'),
  true: around('c3'),
  'positive fixint 0': around('00'),
  'positive fixint 127': around('7f'),
  'positive fixint 64, which msgpackr also uses for records': around('40'),
  'uint 8': around('cc ff'),
  'uint 8 that could be shorter': around('cc 00'),
  'uint 16': around('cd ffff'),
  'uint 32': around('ce ffffffff'),
  'uint 64 of 2^53-1': around('cf 001fffffffffffff'),
  'uint 64 of 0': around('cf 0000000000000000'),
  'an empty string': around('a0'),
  'str 8': around('d9 02 6162'),
  'str 16': around('da 0002 6162'),
  'str 32': around('db 00000002 6162'),
  'a string of 4-byte characters': around('a4 f09f979d'),
  'a byte order mark inside a string': around('a4 61efbbbf'),
  'a zero byte in a string': around('a1 00'),
  'bin 8': around('c4 01 ff'),
  'bin 16': around('c5 0001 ff'),
  'bin 32': around('c6 00000001 ff'),
  'an empty bin': around('c4 00'),
  'array 16': around('dc 0001 c0'),
  'array 32': around('dd 00000001 c0'),
  'keys of every width': '84 a161 c0 d90162 c0 da000163 c0 db0000000164 c0',
  'an empty key': '81 a0 c0',
  'the same key in two maps': '82 a161 81a16100 a162 81a16100',
  'keys that objects have by themselves': '82 ab636f6e7374727563746f72 c0 a8746f537472696e67 c0',
  'the deepest nesting': nested(MAX_DEPTH),
  'the most entries': around(`dc 1000 ${'c0'.repeat(MAX_ENTRIES)}`),
};

const refused: Readonly<Record<string, readonly [hex: string, reason: RegExp]>> = {
  'nothing at all': ['', /there is nothing/],
  'nil outermost': ['c0', /not a map/],
  'an array outermost': ['91 c0', /not a map/],
  'a bin outermost': ['c4 01 00', /not a map/],
  'a record definition outermost': ['d4 72 40 91a161 01', /not a map/],
  'a byte after the map': ['80 00', /byte 1: 1 bytes after the map/],
  'a second map after the map': ['80 80', /after the map/],

  '0xc1': [around('c1'), /byte 3: the unused type/],
  'negative fixint': [around('ff'), /signed integer/],
  'int 8': [around('d0 80'), /signed integer/],
  'int 8 that is positive': [around('d0 05'), /signed integer/],
  'int 16': [around('d1 8000'), /signed integer/],
  'int 32': [around('d2 80000000'), /signed integer/],
  'int 64': [around('d3 8000000000000000'), /signed integer/],
  'float 32': [around('ca 3f800000'), /float/],
  'float 64': [around('cb 3ff0000000000000'), /float/],
  'uint 64 of 2^53': [around('cf 0020000000000000'), /above 2\^53-1/],
  'uint 64 of 2^64-1': [around('cf ffffffffffffffff'), /above 2\^53-1/],

  'ext 8': [around('c7 01 05 00'), /extension/],
  'ext 16': [around('c8 0001 05 00'), /extension/],
  'ext 32': [around('c9 00000001 05 00'), /extension/],
  'fixext 1': [around('d4 05 00'), /extension/],
  'fixext 2': [around('d5 05 0000'), /extension/],
  'fixext 4': [around('d6 05 00000000'), /extension/],
  'fixext 8': [around('d7 05 0000000000000000'), /extension/],
  'fixext 16': [around(`d8 05 ${'00'.repeat(16)}`), /extension/],
  'a timestamp': [around('d6 ff 00000000'), /extension/],
  'a record definition of msgpackr': [around('d4 72 40 91a161 01'), /extension \(0xd4\)/],
  'a record definition with a high byte': [around('d5 72 40 00 91a161 01'), /extension \(0xd5\)/],
  'a structured clone of msgpackr': [around('d6 69 00000001 90'), /extension/],
  'a pointer into one': [around('d6 70 00000001'), /extension/],
  'a regular expression of msgpackr': [around('c7 00 78 92a161a0'), /extension/],
  'an error of msgpackr': [around('c7 00 65 92a161a0'), /extension/],
  'a bundle of strings of msgpackr': [around('d6 62 00000004 a161a162'), /extension/],
  'undefined as msgpackr writes it': [around('d4 00 00'), /extension/],

  'a key that is an integer': ['81 01 c0', /byte 1: a key that is not a string/],
  'a key that is a bin': ['81 c40161 c0', /key that is not a string/],
  'a key that is nil': ['81 c0 c0', /key that is not a string/],
  'a key that is an array': ['81 90 c0', /key that is not a string/],
  'a key that is an extension': ['81 d40000 c0', /key that is not a string/],
  'the same key twice': ['82 a161 c0 a161 c0', /byte 4: the same key twice/],
  'the same key twice in two widths': ['82 a161 c0 d90161 c0', /same key twice/],
  'the same key twice further in': [around('82 a162 c0 a162 c0'), /same key twice/],
  'the key __proto__': ['81 a95f5f70726f746f5f5f 80', /__proto__/],
  'the key __proto__ as str 8': ['81 d9095f5f70726f746f5f5f 80', /__proto__/],
  'the key __proto__ further in': [around('81 a95f5f70726f746f5f5f 80'), /__proto__/],

  'UTF-8 cut short': [around('a2 c3 61'), /UTF-8/],
  'UTF-8 that goes on without a beginning': [around('a1 80'), /UTF-8/],
  'UTF-8 longer than it need be': [around('a2 c0af'), /UTF-8/],
  'a surrogate in UTF-8': [around('a3 eda080'), /UTF-8/],
  'UTF-8 above U+10FFFF': [around('a4 f4908080'), /UTF-8/],
  'bad UTF-8 at the end of a long string': [around(`d9 50 ${'61'.repeat(79)}ff`), /UTF-8/],
  'a key of bad UTF-8': ['81 a1ff c0', /UTF-8/],
  'a string that begins with a byte order mark': [around('a4 efbbbf61'), /byte order mark/],
  'a key that begins with a byte order mark': [`81 d950 efbbbf${'61'.repeat(77)} c0`, /byte order mark/],

  'nesting one too deep': [nested(MAX_DEPTH + 1), /nested more than 8/],
  'nesting to the end of the frame': [around('91'.repeat(100_000)), /nested more than 8/],
  'one entry too many in an array': [around(`dc 1001 ${'c0'.repeat(MAX_ENTRIES + 1)}`), /4097 entries/],
  'one entry too many in a map': [`de 1001 ${'a0c0'.repeat(MAX_ENTRIES + 1)}`, /4097 entries/],
  'an array 32 of 2^32-1': [around('dd ffffffff'), /4294967295 entries/],
  'a map 32 of 2^32-1': ['df ffffffff', /4294967295 entries/],
  'more entries than bytes': [around('dc 1000 c0'), /more than the remaining bytes can hold/],
  'more map entries than bytes': ['de 0002 a0c0a0', /more than the remaining bytes can hold/],
  'more values than allowed': [
    `de 0032 ${Array.from({ length: 50 }, (_, key) => `a2${key.toString(16).padStart(4, '30')}dc 1000 ${'80'.repeat(MAX_ENTRIES)}`).join('')}`,
    new RegExp(`more than ${MAX_VALUES} values`),
  ],

  'a map without its entry': ['81', /entries, more than/],
  'a key without its value': ['81 a161', /bytes are expected/],
  'a string longer than the frame': [around('a5 6161'), /5 bytes are expected, and 2 are left/],
  'a str 32 of 2^32-1': [around('db ffffffff'), /4294967295 bytes are expected/],
  'a bin 32 of 2^32-1': [around('c6 ffffffff 00'), /4294967295 bytes are expected/],
  'a bin 8 without its length': [around('c4'), /bytes are expected/],
  'a uint 64 cut short': [around('cf 00000000 000000'), /bytes are expected/],
};

describe('scan', () => {
  for (const [name, hex] of Object.entries(taken)) {
    it(`takes ${name}`, () => {
      scan(bytes(hex));
      decodeMap(bytes(hex));
    });
  }

  for (const [name, [hex, reason]] of Object.entries(refused)) {
    it(`W11: refuses ${name}`, () => {
      assert.throws(() => scan(bytes(hex)), isProtocolError(reason));
      assert.throws(() => decodeMap(bytes(hex)), isProtocolError(reason));
      // The same from a plain array that begins somewhere inside its buffer.
      const shifted = new Uint8Array(bytes(`00${hex}`)).subarray(1);
      assert.throws(() => scan(shifted), isProtocolError(reason));
    });
  }

  it('W2: refuses a map that ends at any byte but its last', () => {
    const whole = bytes(
      `86 a161 cf0000010000000000 a162 d9026162 a163 c50003010203 a164 dc0002c0c3 a165 de0001a16605 a166 ce${word(9)}`,
    );
    scan(whole);
    for (let end = 0; end < whole.length; end++) {
      assert.throws(() => scan(whole.subarray(0, end)), isProtocolError(/./), `end at ${end}`);
    }
  });
});
