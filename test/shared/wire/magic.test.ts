import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAGIC, MAX_BANNER, MagicReader } from '../../../shared/wire/magic.ts';
import { cutAt, cutEvery, fractions } from './cuts.ts';
import { isProtocolError } from './expect.ts';

/** What comes behind the magic, once it was found. */
function readAll(reader: MagicReader, pieces: readonly Uint8Array[]): Buffer | undefined {
  const rest: Uint8Array[] = [];
  let found = false;
  for (const piece of pieces) {
    const behind = found ? piece : reader.feed(piece);
    if (behind === undefined) continue;
    found = true;
    rest.push(behind);
  }
  return found ? Buffer.concat(rest) : undefined;
}

const magic = Buffer.from(MAGIC);

describe('MagicReader', () => {
  it('is what docs/protocol.md says', () => assert.equal(magic.toString('latin1'), 'SPBK\r\n\x1a1'));

  it('W1: hands over what follows, at whatever place the stream is cut', () => {
    const stream = Buffer.concat([magic, Buffer.from('rest')]);
    assert.deepEqual(readAll(new MagicReader(0), [stream]), Buffer.from('rest'));
    assert.deepEqual(readAll(new MagicReader(0), cutEvery(stream, 1)), Buffer.from('rest'));
    for (let at = 0; at <= stream.length; at++) {
      const pieces = [stream.subarray(0, at), stream.subarray(at)];
      assert.deepEqual(readAll(new MagicReader(0), pieces), Buffer.from('rest'), `cut at ${at}`);
    }
  });

  it('W13: the agent skips a banner, any cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fractions, (noise, cuts) => {
        fc.pre(!Buffer.concat([noise, magic.subarray(0, 7)]).includes(magic));
        const reader = new MagicReader(MAX_BANNER);
        const stream = Buffer.concat([noise, magic, Buffer.from([1, 2, 3])]);
        assert.deepEqual(readAll(reader, cutAt(stream, cuts)), Buffer.from([1, 2, 3]));
        assert.equal(reader.ahead, noise.length);
      }),
    );
  });

  it('W13: finds the magic right behind a beginning of itself', () => {
    for (let length = 1; length < magic.length; length++) {
      const stream = Buffer.concat([magic.subarray(0, length), magic]);
      assert.equal(readAll(new MagicReader(MAX_BANNER), cutEvery(stream, 1))?.length, 0, `after ${length} bytes of it`);
    }
  });

  it('W13: takes 64 KiB of banner and not a byte more', () => {
    const stream = (ahead: number): Buffer => Buffer.concat([Buffer.alloc(ahead, 'x'), magic]);
    assert.equal(readAll(new MagicReader(MAX_BANNER), [stream(MAX_BANNER)])?.length, 0);
    const over = new MagicReader(MAX_BANNER);
    assert.throws(() => over.feed(stream(MAX_BANNER + 1)), isProtocolError(/65536 bytes/));
  });

  it('W13: the receiver takes nothing ahead of it', () => {
    assert.throws(() => new MagicReader(0).feed(Buffer.from('\n')), isProtocolError(/begin/));
    assert.throws(
      () => new MagicReader(0).feed(Buffer.concat([magic.subarray(0, 5), magic])),
      isProtocolError(/begin/),
    );
  });

  it('W12: shows the banner escaped and short', () => {
    const reader = new MagicReader(MAX_BANNER);
    reader.feed(Buffer.from('\x1b[2Jcommand not found\nSPB'));
    assert.equal(reader.banner, '\\u{1b}[2Jcommand not found');
    const flood = new MagicReader(1000);
    assert.throws(() => flood.feed(Buffer.alloc(2000, 0x1b)), isProtocolError(/^.{0,400}$/));
  });

  it('W2: is not found at an end of file at every offset ahead of its last byte', () => {
    for (let length = 0; length < magic.length; length++) {
      assert.equal(new MagicReader(0).feed(magic.subarray(0, length)), undefined);
    }
  });
});
