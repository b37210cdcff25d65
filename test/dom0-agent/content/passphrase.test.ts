import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { passphraseOf } from '../../../dom0-agent/content/passphrase.ts';

const bytesOf = (given: string | Uint8Array): Buffer | undefined => {
  const found = passphraseOf(Buffer.from(given));
  return found === undefined ? undefined : Buffer.from(found.bytes);
};

describe('passphraseOf', () => {
  it('G5 the same words are the same, whatever editor, keyboard or system they came from', () => {
    const composed = Buffer.from('caf\u00e9');
    for (const given of ['caf\u00e9', 'cafe\u0301', 'caf\u00e9\n', 'caf\u00e9\r\n', '\ufeffcafe\u0301\r\n\r\n']) {
      assert.deepEqual(bytesOf(given), composed, JSON.stringify(given));
    }
  });

  it('what a release before took is known where it was something else', () => {
    const older = (given: string) => {
      const found = passphraseOf(Buffer.from(given))?.older;
      return found === undefined ? undefined : Buffer.from(found).toString();
    };
    assert.equal(older('plain\n'), undefined);
    assert.equal(older('windows\r\n'), 'windows\r');
    assert.equal(older('\ufeffmarked\n'), '\ufeffmarked');
    assert.equal(older('cafe\u0301\n'), 'cafe\u0301');
    assert.equal(older('two\n\n'), 'two\n');
  });

  it('nothing but line ends is no passphrase', () => {
    for (const given of ['', '\n', '\r\n', '\ufeff\n']) assert.equal(bytesOf(given), undefined, JSON.stringify(given));
  });

  it('spaces, line ends within and zero bytes count', () => {
    for (const given of [' a', 'a ', 'a\nb', 'a\0b', '\ta']) assert.deepEqual(bytesOf(given), Buffer.from(given));
  });

  it('bytes that are no UTF-8 are taken as they are, so that no two fall together', () => {
    const latin = (byte: number) => Buffer.alloc(8, byte);
    assert.deepEqual(bytesOf(Buffer.concat([latin(0xe9), Buffer.from('\r\n')])), latin(0xe9));
    assert.notDeepEqual(bytesOf(latin(0xe9)), bytesOf(latin(0xe8)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        // 0x80 is never at the beginning of UTF-8.
        const given = Buffer.concat([Buffer.of(0x80), bytes, Buffer.from('.')]);
        assert.deepEqual(bytesOf(given), given);
      }),
    );
  });
});
