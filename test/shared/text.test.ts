import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { escapeText } from '../../shared/text.ts';

describe('escapeText', () => {
  const cases: readonly [name: string, text: string, shown: string][] = [
    ['plain text', 'work/private.img', 'work/private.img'],
    ['other scripts', 'Büro 家 🗝', 'Büro 家 🗝'],
    ['an escape sequence', '\x1b]0;title\x07', '\\u{1b}]0;title\\u{7}'],
    ['line ends', 'a\r\nb', 'a\\u{d}\\u{a}b'],
    ['DEL and C1', '\x7f\x9b31m', '\\u{7f}\\u{9b}31m'],
    ['bidi controls', 'img\u202egpj', 'img\\u{202e}gpj'],
    ['bidi isolates and marks', '\u2066\u2069\u200f\u061c', '\\u{2066}\\u{2069}\\u{200f}\\u{61c}'],
    ['line and paragraph separators', '\u2028\u2029', '\\u{2028}\\u{2029}'],
    ['what cannot be seen', 'a\u200b\ufeffb\u{e0041}', 'a\\u{200b}\\u{feff}b\\u{e0041}'],
    ['half a surrogate pair', 'a\ud800b\udc00', 'a\\u{d800}b\\u{dc00}'],
  ];
  for (const [name, text, shown] of cases) {
    it(`W12: shows ${name}`, () => assert.equal(escapeText(text, 100), shown));
  }

  it('cuts to the length given, never through an escape or a character', () => {
    assert.equal(escapeText('abcdef', 6), 'abcdef');
    assert.equal(escapeText('abcdef', 5), 'abcd…');
    assert.equal(escapeText('ab\x1bcd', 7), 'ab…');
    assert.equal(escapeText('a🗝🗝', 3), 'a…');
    assert.equal(escapeText('abc', 1), '…');
    assert.equal(escapeText('abc', 0), '');
    assert.equal(escapeText('', 0), '');
  });

  it('W12: gives text that moves no cursor and is never too long, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.nat(80), (text, max) => {
        const shown = escapeText(text, max);
        assert.ok(shown.length <= max);
        assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
