import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { copyBytes, isZeroBytes } from '../../../dom0-agent/content/bytes.ts';
import { Identifier, ZERO_IDENTITY, isZeroIdentity } from '../../../dom0-agent/content/identity.ts';

const KEY = Buffer.alloc(32, 5);

describe('identities', () => {
  for (const [mac, hash] of [
    ['blake2b', 'blake2b512'],
    ['sha256', 'sha256'],
  ] as const) {
    it(`are the first 32 bytes of HMAC with ${hash}`, () => {
      const identifier = new Identifier(mac, KEY);
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (plaintext) => {
          fc.pre(plaintext.some((byte) => byte !== 0));
          const expected = createHmac(hash, KEY).update(plaintext).digest().subarray(0, 32);
          assert.deepEqual(identifier.of(plaintext), expected);
        }),
      );
    });
  }

  it('of zeros are zeros, of any length, shared memory or not', () => {
    const identifier = new Identifier('sha256', KEY);
    for (const length of [1, 512, 65_536, 65_537, 4 * 2 ** 20]) {
      const zeros = new Uint8Array(new SharedArrayBuffer(length));
      assert.deepEqual(Uint8Array.from(identifier.of(zeros)), ZERO_IDENTITY);
      for (const at of [0, length - 1, Math.min(length - 1, 65_536)]) {
        zeros[at] = 1;
        assert.equal(isZeroBytes(zeros), false, `${length} bytes, ${at}`);
        assert.equal(isZeroIdentity(identifier.of(zeros)), false);
        zeros[at] = 0;
      }
    }
    assert.ok(isZeroBytes(new Uint8Array(0)));
  });
});

describe('copyBytes', () => {
  it('copies to the place that set() copies to', () => {
    const bytes = fc.uint8Array({ maxLength: 50 });
    fc.assert(
      fc.property(bytes, fc.nat(20), fc.nat(20), (source, offset, after) => {
        const length = offset + source.length + after;
        const [shared, expected] = [new Uint8Array(new SharedArrayBuffer(length)), new Uint8Array(length)];
        copyBytes(source, shared, offset);
        expected.set(source, offset);
        assert.deepEqual(Uint8Array.from(shared), expected);
      }),
    );
  });

  it('refuses what does not fit, and writes nothing', () => {
    const target = new Uint8Array(10);
    assert.throws(() => {
      copyBytes(Buffer.alloc(5, 1), target, 6);
    }, RangeError);
    assert.ok(isZeroBytes(target));
  });
});
