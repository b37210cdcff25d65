import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  codecNumber,
  codecOf,
  decompress,
  gzip,
  isIncompressible,
  isLevel,
  zstd,
  zstdBound,
} from '../../../dom0-agent/content/compression.ts';
import { Random } from '../../fixtures/random.ts';

const SIZE = 256 * 1024;

describe('codecs', () => {
  it('have the numbers of the format, and no other', () => {
    assert.deepEqual([0, 1, 2, 3].map(codecOf), ['none', 'zstd', 'gzip', undefined]);
    assert.deepEqual((['none', 'zstd', 'gzip'] as const).map(codecNumber), [0, 1, 2]);
  });

  it('have levels', () => {
    assert.ok(isLevel('zstd', 1) && isLevel('zstd', 19) && isLevel('gzip', 9) && isLevel('none', 0));
    assert.ok(![0, 20, 1.5, NaN].some((level) => isLevel('zstd', level)));
    assert.ok(!isLevel('gzip', 10) && !isLevel('none', 1));
  });

  it('zstd writes the content size and a window no larger, at every level', () => {
    const plaintext = Buffer.alloc(SIZE, 'text that repeats itself, but never mind. ');
    for (const level of [1, 3, 19]) {
      // Descriptor: single segment (0x20), so the window is the content's size; the size itself in 4 bytes (0x80).
      const frame = zstd(plaintext, level);
      assert.equal(frame[4], 0xa0, `level ${level}`);
      assert.equal(frame.readUInt32LE(5), SIZE);
    }
  });

  it('stay within the bound on noise', () => {
    const random = new Random('bound');
    for (const length of [1, 100, 65_536, SIZE, 4 * 2 ** 20]) {
      const noise = random.bytes(length);
      assert.ok(zstd(noise, 1).length <= zstdBound(length));
      assert.ok(gzip(noise, 9).length <= zstdBound(length) + 32);
    }
  });

  it('A9 read no zstd frame that asks for a window above 4 MiB', () => {
    const plaintext = Buffer.from('some text');
    // Magic, descriptor 0 (a window, no content size), the window, one raw block that is the last.
    const frame = (windowLog: number): Buffer =>
      Buffer.concat([
        Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3, (plaintext.length << 3) | 1, 0, 0),
        plaintext,
      ]);
    assert.deepEqual(decompress('zstd', frame(22), plaintext.length), plaintext);
    for (const windowLog of [23, 27, 31])
      assert.equal(decompress('zstd', frame(windowLog), plaintext.length), undefined);
  });

  it('A9 stop a decompression bomb where the expected length ends', () => {
    const block = 128 * 1024;
    const count = 8192;
    // 8192 blocks that each repeat one byte 2^17 times: 1 GiB in 32 KiB.
    const blocks = Buffer.concat(
      Array.from({ length: count }, (_, index) => {
        const header = Buffer.alloc(4);
        header.writeUIntLE((block << 3) | (1 << 1) | (index === count - 1 ? 1 : 0), 0, 3);
        return header;
      }),
    );
    const bombs = [
      ['zstd', Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, (22 - 10) << 3), blocks])],
      ['gzip', gzip(Buffer.alloc(256 * 2 ** 20), 9)],
    ] as const;
    const peak = (): number => process.resourceUsage().maxRSS / 1024;
    const before = peak();
    for (const [codec, bomb] of bombs) assert.equal(decompress(codec, bomb, SIZE), undefined);
    assert.ok(peak() - before < 64, `${peak() - before} MiB`);
  });

  it('know noise from what is only partly noise', () => {
    const random = new Random('probe');
    assert.equal(isIncompressible(random.bytes(SIZE)), true);
    assert.equal(isIncompressible(Buffer.alloc(SIZE, 'text')), false);
    // Noise wherever the sample looks.
    const partly = random.bytes(SIZE);
    partly.fill(0, 20_000, 60_000);
    assert.equal(isIncompressible(partly), false);
  });
});
