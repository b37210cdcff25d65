import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ArchiveId } from '../../../shared/archive/names.ts';
import { OBJECT_TYPE, chunkAadPrefix } from '../../../dom0-agent/content/aad.ts';
import { ChunkOpener, ChunkSealer, maxStoredLength } from '../../../dom0-agent/content/chunk.ts';
import { gzip, zstd, type Codec } from '../../../dom0-agent/content/compression.ts';
import { SEALED_OVERHEAD, sealInto } from '../../../dom0-agent/content/sealed.ts';
import { Xaes256Gcm } from '../../../dom0-agent/content/xaes.ts';
import { Random } from '../../fixtures/random.ts';
import { CHUNK_SIZE, MODES, OTHER_ARCHIVE, PLAINTEXT, chunkContent, fault, recordOf, sealChunk } from './objects.ts';

/** Where the nonce lies in a sealed object. */
const nonceOf = (stored: Uint8Array): string => Buffer.from(stored.subarray(2, 26)).toString('hex');

/** Text, noise and zeros in pieces of any length: compressible, not at all, and both. */
function mixed(random: Random, length: number): Buffer {
  const result = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    const piece = Math.min(length - at, random.between(1, length));
    const kind = random.int(3);
    if (kind === 0) result.set(random.bytes(piece), at);
    else if (kind === 1) result.fill('some text again and again, ', at, at + piece);
    at += piece;
  }
  result[0] = 1;
  return result;
}

for (const mode of MODES) {
  describe(`chunks (${mode.name})`, () => {
    const content = chunkContent(recordOf(mode));
    const opener = new ChunkOpener(content);

    it('open as they were sealed, whatever their length', () => {
      const random = new Random(`chunks ${mode.name}`);
      const lengths = [
        1,
        2,
        255,
        4096,
        65_535,
        CHUNK_SIZE - 1,
        CHUNK_SIZE,
        ...Array.from({ length: 20 }, () => random.between(1, CHUNK_SIZE)),
      ];
      for (const length of lengths) {
        for (const plaintext of [mixed(random, length), Buffer.alloc(length, 'x')]) {
          const { stored, identity } = sealChunk(content, plaintext);
          assert.ok(stored.length <= maxStoredLength(CHUNK_SIZE), `${stored.length} bytes of ${length}`);
          assert.deepEqual(Buffer.from(opener.open(stored, identity, length)), plaintext);
        }
      }
    });

    it('fit into their slot when nothing can be compressed', () => {
      const random = new Random('incompressible');
      for (const chunkSize of [64 * 1024, 256 * 1024, 4 * 1024 * 1024]) {
        const large = chunkContent({ ...recordOf(mode), chunkSize });
        const plaintext = random.bytes(chunkSize);
        const { stored, identity } = sealChunk(large, plaintext);
        assert.ok(stored.length <= maxStoredLength(chunkSize));
        assert.ok(stored.length <= chunkSize + 1024, `${stored.length - chunkSize} bytes more than the plaintext`);
        assert.ok(plaintext.equals(new ChunkOpener(large).open(stored, identity, chunkSize)));
      }
    });

    it('go into shared memory at any offset, and touch nothing beside it', () => {
      const target = new Uint8Array(new SharedArrayBuffer(PLAINTEXT.length + 40));
      const { stored, identity } = sealChunk(content, PLAINTEXT);
      for (const offset of [0, 1, 7, 40]) {
        target.fill(0xee);
        const view = opener.open(stored, identity, PLAINTEXT.length, target, offset);
        assert.equal(view.byteOffset, offset);
        assert.deepEqual(Buffer.from(view), PLAINTEXT);
        assert.ok(target.subarray(0, offset).every((byte) => byte === 0xee));
        assert.ok(target.subarray(offset + PLAINTEXT.length).every((byte) => byte === 0xee));
      }
      assert.throws(() => opener.open(stored, identity, PLAINTEXT.length, target, 41), RangeError);
    });

    it('A9 of another length than their place in the volume says do not open, and leave the target alone', () => {
      const target = Buffer.alloc(CHUNK_SIZE, 0xee);
      const { stored, identity } = sealChunk(content, PLAINTEXT);
      for (const length of [1, PLAINTEXT.length - 1, PLAINTEXT.length + 1, CHUNK_SIZE]) {
        assert.throws(() => opener.open(stored, identity, length, target), fault('integrity'), `${length} bytes`);
      }
      assert.ok(target.every((byte) => byte === 0xee));
    });

    it('are refused where they are no chunks: empty, too long, zeros', () => {
      const sealer = new ChunkSealer(content);
      const target = Buffer.alloc(maxStoredLength(CHUNK_SIZE));
      const identity = sealer.identity(PLAINTEXT);
      assert.throws(() => sealer.seal(Buffer.alloc(0), identity, target, 0), RangeError);
      assert.throws(() => sealer.seal(Buffer.alloc(CHUNK_SIZE + 1, 1), identity, target, 0), RangeError);
      assert.throws(() => sealer.seal(Buffer.alloc(9), sealer.identity(Buffer.alloc(9)), target, 0), RangeError);
      assert.throws(() => sealer.seal(PLAINTEXT, identity, target, target.length - 5), RangeError);
    });
  });
}

describe('nonces', () => {
  const sealTwice = (dedup: boolean) => {
    const content = chunkContent(recordOf({ dedup }));
    return [sealChunk(content, PLAINTEXT).stored, sealChunk(content, PLAINTEXT).stored] as const;
  };

  it('I5 without deduplication: never twice, and equal chunks look different', () => {
    const content = chunkContent(recordOf());
    const nonces = new Set(Array.from({ length: 500 }, () => nonceOf(sealChunk(content, PLAINTEXT).stored)));
    assert.equal(nonces.size, 500);
    const [first, second] = sealTwice(false);
    assert.notDeepEqual(first.subarray(26), second.subarray(26));
  });

  it('I5 with deduplication: equal chunks give equal bytes', () => {
    const [first, second] = sealTwice(true);
    assert.deepEqual(first, second);
  });

  it('I5 with deduplication: whatever differs, content, identity, level, codec or archive, gives another nonce', () => {
    const base = recordOf({ dedup: true });
    const sealed = (plaintext: Uint8Array, level: number, codec: Codec, archive: ArchiveId = base.archive) =>
      nonceOf(sealChunk({ ...chunkContent({ ...base, archive }), level, codec }, plaintext).stored);
    // Long enough that levels find different matches.
    const text = Buffer.concat(
      Array.from({ length: 400 }, (_, index) => Buffer.from(`line ${(index * index) % 97} of ${index % 13}\n`)),
    );
    const changed = Buffer.from(text);
    changed[100] = 0;
    const nonces = [
      sealed(text, 1, 'zstd'),
      sealed(text, 19, 'zstd'),
      sealed(text, 1, 'gzip'),
      sealed(text, 0, 'none'),
      sealed(text, 1, 'zstd', OTHER_ARCHIVE),
      sealed(changed, 1, 'zstd'),
    ];
    assert.equal(new Set(nonces).size, nonces.length);

    const content = chunkContent(base);
    const sealer = new ChunkSealer(content);
    const target = Buffer.alloc(maxStoredLength(CHUNK_SIZE));
    const asIdentity = (identity: Uint8Array) => nonceOf(target.subarray(0, sealer.seal(text, identity, target, 0)));
    assert.notEqual(asIdentity(Buffer.alloc(32, 1)), asIdentity(Buffer.alloc(32, 2)));
  });

  it('I5 with deduplication: equal nonces mean equal bytes', () => {
    const content = chunkContent(recordOf({ dedup: true }));
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3 }), (plaintext) => {
        fc.pre(plaintext.some((byte) => byte !== 0));
        const { stored } = sealChunk(content, plaintext);
        const bytes = Buffer.from(stored).toString('hex');
        assert.equal(seen.get(nonceOf(stored)) ?? bytes, bytes);
        seen.set(nonceOf(stored), bytes);
      }),
      { numRuns: 500 },
    );
  });
});

describe('chunks that the key itself sealed wrongly', () => {
  const content = chunkContent(recordOf());
  const opener = new ChunkOpener(content);
  const identity = new ChunkSealer(content).identity(PLAINTEXT);

  /** Authentic, so that what comes after authenticating is what refuses. */
  function forged(codec: Codec, payload: Uint8Array): Uint8Array {
    const stored = Buffer.alloc(payload.length + SEALED_OVERHEAD);
    const aad = Buffer.concat([chunkAadPrefix(content.archive), identity]);
    sealInto(new Xaes256Gcm(content.keys.seal), OBJECT_TYPE.chunk, aad, { codec, payload }, randomBytes(24), stored, 0);
    return stored;
  }
  const open = (stored: Uint8Array) => opener.open(stored, identity, PLAINTEXT.length);

  it('open where they are right', () => {
    for (const [codec, payload] of [
      ['none', PLAINTEXT],
      ['zstd', zstd(PLAINTEXT, 1)],
      ['gzip', gzip(PLAINTEXT, 1)],
    ] as const) {
      assert.deepEqual(Buffer.from(open(forged(codec, payload))), PLAINTEXT);
    }
  });

  it('A9 that are longer than the plaintext could be sealed are not even decrypted', () => {
    const stored = forged('none', Buffer.concat([PLAINTEXT, Buffer.of(0)]));
    assert.throws(() => open(stored), /too many/);
    const plain = new ChunkOpener(chunkContent(recordOf({ encrypted: false })));
    assert.throws(() => plain.open(Buffer.alloc(CHUNK_SIZE), identity, PLAINTEXT.length), /too many/);
  });

  it('A9 another codec than the payload has, and streams cut short', () => {
    for (const [codec, payload] of [
      ['none', zstd(PLAINTEXT, 1)],
      ['gzip', zstd(PLAINTEXT, 1)],
      ['zstd', gzip(PLAINTEXT, 1)],
      ['zstd', PLAINTEXT],
      ['zstd', Buffer.alloc(0)],
      ['gzip', Buffer.alloc(0)],
      ['zstd', zstd(PLAINTEXT, 1).subarray(0, -1)],
      ['gzip', gzip(PLAINTEXT, 1).subarray(0, -1)],
      ['none', PLAINTEXT.subarray(1)],
      ['zstd', zstd(PLAINTEXT.subarray(1), 1)],
      ['gzip', gzip(Buffer.concat([PLAINTEXT, PLAINTEXT]), 1)],
    ] as const) {
      assert.throws(() => open(forged(codec, payload)), fault('integrity'), `${codec}, ${payload.length} bytes`);
    }
  });

  it('A9 a codec that there is not', () => {
    const cipher = new Xaes256Gcm(content.keys.seal);
    const aad = Buffer.concat([chunkAadPrefix(content.archive), identity]);
    const nonce = randomBytes(24);
    for (const codec of [3, 4, 255]) {
      const stored = Buffer.alloc(26 + 1 + PLAINTEXT.length + 16);
      stored.set([1, OBJECT_TYPE.chunk]);
      stored.set(nonce, 2);
      cipher.encrypt(nonce, aad, [Buffer.of(codec), PLAINTEXT], stored, 26);
      assert.throws(() => open(stored), fault('integrity'));
    }
  });

  it('A3 content of the right length whose identity is another', () => {
    assert.throws(() => open(forged('none', PLAINTEXT.toReversed())), fault('integrity'));
  });
});
