// Vectors: https://c2sp.org/XAES-256-GCM, "Test vectors" and "Accumulated randomized tests".
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TAG_LENGTH, Xaes256Gcm } from '../../../dom0-agent/content/xaes.ts';

const NONCE = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
const vectors = [
  {
    name: 'CMAC subkey without overflow',
    key: Buffer.alloc(32, 1),
    aad: '',
    sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271',
  },
  {
    name: 'CMAC subkey with overflow',
    key: Buffer.alloc(32, 3),
    aad: 'c2sp.org/XAES-256-GCM',
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
];

function encrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const target = Buffer.alloc(parts.reduce((sum, part) => sum + part.length, 0) + TAG_LENGTH);
  assert.equal(new Xaes256Gcm(key).encrypt(nonce, aad, parts, target, 0), target.length);
  return target;
}

describe('XAES-256-GCM', () => {
  for (const { name, key, aad, sealed } of vectors) {
    it(`gives the published ciphertext: ${name}`, () => {
      const plaintext = Buffer.from('XAES-256-GCM');
      assert.equal(encrypt(key, NONCE, Buffer.from(aad), plaintext).toString('hex'), sealed);
      const opened = new Xaes256Gcm(key).decrypt(NONCE, Buffer.from(aad), Buffer.from(sealed, 'hex'));
      assert.deepEqual(opened, plaintext);
    });
  }

  it('gives the published hash of 10 000 random messages', () => {
    const iterations = 10_000;
    // The stream of one SHAKE-128: a longer output only goes on, so all that may be needed is taken at once.
    const random = createHash('shake128', { outputLength: iterations * (32 + 24 + 2 * 256) }).digest();
    let at = 0;
    const read = (length: number): Buffer => random.subarray(at, (at += length));
    const readVector = (): Buffer => read(read(1).readUInt8(0));
    const results = createHash('shake128', { outputLength: 32 });
    for (let count = 0; count < iterations; count++) {
      const [key, nonce, plaintext, aad] = [read(32), read(24), readVector(), readVector()];
      results.update(encrypt(key, nonce, aad, plaintext));
    }
    assert.equal(random.toString('hex', 0, 16), '7f9c2ba4e88f827d616045507605853e');
    assert.equal(results.digest('hex'), 'e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
  });

  it('gives the same for a plaintext in pieces, and for the second message of one object', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, bytes, bytes, (first, second, aad) => {
        const key = Buffer.alloc(32, 7);
        const whole = encrypt(key, NONCE, aad, Buffer.concat([first, second]));
        assert.deepEqual(encrypt(key, NONCE, aad, first, second), whole);
        const cipher = new Xaes256Gcm(key);
        cipher.decrypt(NONCE.toReversed(), aad, whole);
        assert.deepEqual(cipher.decrypt(NONCE, aad, whole), Buffer.concat([first, second]));
      }),
    );
  });

  it('A11 takes no tag of less than 16 bytes', () => {
    const cipher = new Xaes256Gcm(Buffer.alloc(32, 1));
    const sealed = Buffer.from(vectors[0]?.sealed ?? '', 'hex');
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(cipher.decrypt(NONCE, Buffer.alloc(0), sealed.subarray(0, length)), undefined);
    }
  });

  it('refuses keys and nonces of another length', () => {
    assert.throws(() => new Xaes256Gcm(Buffer.alloc(16)), RangeError);
    assert.throws(() => encrypt(Buffer.alloc(32), Buffer.alloc(12), Buffer.alloc(0)), RangeError);
    assert.equal(
      new Xaes256Gcm(Buffer.alloc(32)).decrypt(Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(64)),
      undefined,
    );
  });
});
