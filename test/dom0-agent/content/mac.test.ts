// The two MACs, against the vectors of RFC 4231 and against RFC 2104 written out with plain hashes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { MAC_NAMES, type MacName } from '../../../dom0-agent/content/mac-names.ts';
import { fasterMac, measureMacs } from '../../../dom0-agent/content/mac-speed.ts';
import { MAC_LENGTH, Mac } from '../../../dom0-agent/content/mac.ts';
import { Random } from '../../fixtures/random.ts';

const ascii = (text: string): Buffer => Buffer.from(text, 'ascii');

/** RFC 4231, section 4; test case 5 only shows a cut. */
const RFC_4231: readonly (readonly [key: Buffer, data: Buffer, mac: string])[] = [
  [Buffer.alloc(20, 0x0b), ascii('Hi There'), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    ascii('Jefe'),
    ascii('what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  [
    Buffer.from(Array.from({ length: 25 }, (_, index) => index + 1)),
    Buffer.alloc(50, 0xcd),
    '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
  ],
  [
    Buffer.alloc(131, 0xaa),
    ascii('Test Using Larger Than Block-Size Key - Hash Key First'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    Buffer.alloc(131, 0xaa),
    ascii(
      'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be ' +
        'hashed before being used by the HMAC algorithm.',
    ),
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
];

/** RFC 2104, section 2, for a key that is not longer than a block. */
function rfc2104(name: MacName, key: Uint8Array, data: Uint8Array): Buffer {
  const { hash, block } = { blake2b: { hash: 'blake2b512', block: 128 }, sha256: { hash: 'sha256', block: 64 } }[name];
  const pad = (byte: number): Buffer => Buffer.from(Array.from({ length: block }, (_, at) => (key[at] ?? 0) ^ byte));
  const inner = createHash(hash).update(pad(0x36)).update(data).digest();
  return createHash(hash).update(pad(0x5c)).update(inner).digest().subarray(0, MAC_LENGTH);
}

describe('MACs', () => {
  it('with SHA-256 are those of RFC 4231', () => {
    for (const [key, data, mac] of RFC_4231) {
      assert.equal(new Mac('sha256', key).of(MAC_LENGTH, data).toString('hex'), mac);
    }
  });

  for (const name of MAC_NAMES) {
    it(`with ${name} are HMAC by RFC 2104, whatever the length and the parts, one object for all`, () => {
      const random = new Random(`mac ${name}`);
      const key = random.bytes(32);
      const mac = new Mac(name, key);
      const lengths = [0, 1, 63, 64, 65, 127, 128, 129, 65_536];
      for (const length of [...lengths, ...Array.from({ length: 100 }, () => random.int(5000))]) {
        const data = random.bytes(length);
        const expected = rfc2104(name, key, data);
        const cut = random.int(length + 1);
        assert.deepEqual(mac.of(MAC_LENGTH, data), expected, `${length} bytes`);
        assert.deepEqual(mac.of(24, data.subarray(0, cut), data.subarray(cut)), expected.subarray(0, 24));
      }
    });
  }

  it('are not given longer than either function makes them', () => {
    for (const name of MAC_NAMES) assert.throws(() => new Mac(name, Buffer.alloc(32)).of(33), RangeError);
  });
});

describe('the faster MAC', () => {
  it('is BLAKE2b unless SHA-256 is more than 10 % faster', () => {
    for (const [blake2b, sha256, chosen] of [
      [500, 1300, 'sha256'],
      [500, 551, 'sha256'],
      [500, 550, 'blake2b'],
      [500, 500, 'blake2b'],
      [700, 350, 'blake2b'],
    ] as const) {
      assert.equal(fasterMac({ blake2b, sha256 }), chosen, `${blake2b} and ${sha256} MB/s`);
    }
  });

  it('is found by measuring both, with any chunk size', () => {
    for (const chunkSize of [64 * 1024, 4 * 2 ** 20]) {
      const { blake2b, sha256 } = measureMacs(chunkSize);
      for (const rate of [blake2b, sha256]) assert.ok(Number.isInteger(rate) && rate > 0 && rate < 1e6, `${rate} MB/s`);
    }
  });
});
