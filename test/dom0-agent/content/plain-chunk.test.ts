// That a plain archive can be restored with what every distribution has, and no key.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Random } from '../../fixtures/random.ts';
import { CHUNK_SIZE, PLAINTEXT, chunkContent, recordOf, sealChunk } from './objects.ts';

const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

function pipe(program: string, stored: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync(program, ['-dc'], { input: stored, maxBuffer: 2 ** 24 });
  assert.equal(status, 0, stderr.toString());
  assert.equal(stderr.toString(), '');
  return stdout;
}

const random = new Random('plain chunks');
const contents = [
  { name: 'text', plaintext: PLAINTEXT },
  { name: 'noise', plaintext: random.bytes(CHUNK_SIZE) },
  { name: 'a last chunk of one byte', plaintext: Buffer.of(1) },
  {
    name: 'half noise, half zeros',
    plaintext: Buffer.concat([random.bytes(CHUNK_SIZE / 2), Buffer.alloc(CHUNK_SIZE / 2)]),
  },
];

describe('chunks of a plain archive', () => {
  for (const codec of ['gzip', 'zstd'] as const) {
    const skip = !isInstalled(codec) && `${codec} is not installed`;
    for (const { name, plaintext } of contents) {
      it(`${codec} -dc reads ${name}`, { skip }, () => {
        for (const level of [1, 9]) {
          const { stored } = sealChunk(chunkContent(recordOf({ encrypted: false, codec }), level), plaintext);
          assert.ok(pipe(codec, stored).equals(plaintext));
        }
      });
    }
  }

  it('have the headers of the format', () => {
    const gzipped = sealChunk(chunkContent(recordOf({ encrypted: false, codec: 'gzip' })), PLAINTEXT).stored;
    assert.equal(Buffer.from(gzipped).toString('hex', 0, 16), '1f8b08040000000000ff140053421000');
    const zstandard = sealChunk(chunkContent(recordOf({ encrypted: false, codec: 'zstd' })), PLAINTEXT).stored;
    assert.equal(Buffer.from(zstandard).toString('hex', 0, 8), '502a4d1810000000');
    assert.equal(Buffer.from(zstandard).toString('hex', 24, 28), '28b52ffd');
    assert.deepEqual(
      Buffer.from(sealChunk(chunkContent(recordOf({ encrypted: false, codec: 'none' })), PLAINTEXT).stored),
      PLAINTEXT,
    );
  });

  it('that deflate cannot make smaller lie in stored blocks', () => {
    const noise = random.bytes(CHUNK_SIZE);
    const { stored } = sealChunk(chunkContent(recordOf({ encrypted: false, codec: 'gzip' }), 9), noise);
    assert.ok(Buffer.from(stored).includes(noise.subarray(0, 1000)));
    assert.ok(noise.equals(gunzipSync(stored)));
  });

  it('of equal content are equal files, so that the receiver may link them', () => {
    for (const codec of ['gzip', 'zstd', 'none'] as const) {
      const content = chunkContent(recordOf({ encrypted: false, codec }));
      assert.deepEqual(sealChunk(content, PLAINTEXT), sealChunk(content, PLAINTEXT));
    }
  });
});
