import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeMap, encodeMap } from '../../../shared/wire/msgpack.ts';
import { MAX_DEPTH, MAX_ENTRIES } from '../../../shared/wire/scan.ts';
import { isError } from './expect.ts';
import { isWellFormed } from './messages.ts';

const hex = (object: Record<string, unknown>): string => Buffer.from(encodeMap(object)).toString('hex');

const text = fc
  .string({ unit: 'binary', maxLength: 300 })
  .filter((value) => isWellFormed(value) && !value.startsWith('\ufeff'));
const key = text.filter((value) => value !== '__proto__');
const uint = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.constantFrom(0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
);
const bin = fc.uint8Array({ maxLength: 400 });
const { map } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: MAX_DEPTH - 1, depthIdentifier: 'msgpack' },
    fc.constantFrom(null, true, false),
    uint,
    text,
    bin,
    fc.array(tie('value'), { maxLength: 20, depthIdentifier: 'msgpack' }),
    tie('map'),
  ),
  map: fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true, depthIdentifier: 'msgpack' }),
}));

describe('encodeMap and decodeMap', () => {
  it('give back what was put in, and the same bytes again', () => {
    fc.assert(
      fc.property(map, (object) => {
        const bytes = encodeMap(object);
        const decoded = decodeMap(bytes);
        assert.deepEqual(decoded, object);
        assert.deepEqual(encodeMap(decoded), bytes);
      }),
    );
  });

  it('use the shortest encoding, and uint 64 above 2^32-1', () => {
    const cases: readonly [unknown, string][] = [
      [0, '00'],
      [0x7f, '7f'],
      [0x80, 'cc80'],
      [0x100, 'cd0100'],
      [0x1_0000, 'ce00010000'],
      [2 ** 32 - 1, 'ceffffffff'],
      [2 ** 32, 'cf0000000100000000'],
      [2 ** 53 - 1, 'cf001fffffffffffff'],
      [null, 'c0'],
      [true, 'c3'],
      ['', 'a0'],
      ['x'.repeat(31), `bf${'78'.repeat(31)}`],
      ['x'.repeat(32), `d920${'78'.repeat(32)}`],
      ['x'.repeat(256), `da0100${'78'.repeat(256)}`],
      [Buffer.from([1]), 'c40101'],
      [new Uint8Array(256), `c50100${'00'.repeat(256)}`],
      [new Uint8Array(65_536), `c600010000${'00'.repeat(65_536)}`],
      [[], '90'],
      [Array<null>(16).fill(null), `dc0010${'c0'.repeat(16)}`],
    ];
    for (const [value, expected] of cases) assert.equal(hex({ a: value }), `81a161${expected}`);
  });

  it('keep the order of the keys', () => {
    assert.equal(hex({ b: 1, a: 2 }), '82a16201a16102');
    assert.deepEqual(Object.keys(decodeMap(encodeMap({ z: 1, a: 2, m: 3 }))), ['z', 'a', 'm']);
  });

  it('leave room ahead', () => assert.deepEqual([...encodeMap({}, 3)], [0, 0, 0, 0x80]));

  it('give binary values as views, without copying; slice() copies', () => {
    const bytes = Buffer.from(encodeMap({ data: Buffer.alloc(1000, 1) }));
    const { data } = decodeMap(bytes);
    assert.ok(data instanceof Uint8Array);
    assert.equal(data.buffer, bytes.buffer);
    assert.notEqual(data.slice().buffer, bytes.buffer);
  });

  it('leave what was decoded as it was', () => {
    const bytes = encodeMap({ a: 1 });
    decodeMap(bytes);
    assert.deepEqual(Object.keys(bytes), Object.keys(encodeMap({ a: 1 })));
  });

  let deep: unknown = [];
  for (let depth = 1; depth < MAX_DEPTH; depth++) deep = [deep];
  const refused: readonly [name: string, value: unknown][] = [
    ['a negative integer', -1],
    ['a fraction', 0.5],
    ['NaN', NaN],
    ['2^53', 2 ** 53],
    ['a bigint', 1n],
    ['undefined', undefined],
    ['a hole in an array', Array<number>(1)],
    ['a function', () => 1],
    ['a date', new Date(0)],
    ['a Map', new Map()],
    ['an object of a class', new URL('file:///')],
    ['an array of other numbers', new Uint16Array(1)],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['half a surrogate pair', 'a\ud800'],
    ['a byte order mark at the front', '\ufeffa'],
    ['the key __proto__', JSON.parse('{"__proto__":1}')],
    ['nesting one too deep', deep],
    ['one entry too many', Array<number>(MAX_ENTRIES + 1).fill(0)],
    ['too many values', Array<number[]>(40).fill(Array<number>(MAX_ENTRIES).fill(0))],
  ];
  for (const [name, value] of refused) {
    it(`refuse to encode ${name}`, () => assert.throws(() => encodeMap({ a: value }), isError('failed', /msgpack/)));
  }
});
