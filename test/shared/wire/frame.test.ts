import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameReader, LENGTH_PREFIX, maxFrame } from '../../../shared/wire/frame.ts';
import { cutAt, cutEvery, fractions } from './cuts.ts';
import { isError, isProtocolError } from './expect.ts';

const LIMIT = 1000;

function framed(payload: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_PREFIX);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

function lengthOnly(length: number): Buffer {
  return Buffer.from(length.toString(16).padStart(8, '0'), 'hex');
}

/** All frames, copied since each holds only until the next. */
function readAll(reader: FrameReader, pieces: readonly Uint8Array[]): Buffer[] {
  return pieces.flatMap((piece) => Array.from(reader.frames(piece), (frame) => Buffer.from(frame)));
}

const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: LIMIT }), { maxLength: 8 });

describe('FrameReader', () => {
  it('W1: gives the same frames however the stream is cut', () => {
    fc.assert(
      fc.property(payloads, fractions, (sent, cuts) => {
        const stream = Buffer.concat(sent.map(framed));
        const expected = sent.map((payload) => Buffer.from(payload));
        for (const pieces of [[stream], cutEvery(stream, 1), cutAt(stream, cuts)]) {
          const reader = new FrameReader(LIMIT);
          assert.deepEqual(readAll(reader, pieces), expected);
          assert.equal(reader.finish(), true);
        }
      }),
    );
  });

  it('W2: tells an end of file inside a frame from one between frames, at every offset', () => {
    const sent = [1, 2, 300, 5].map((length) => framed(Buffer.alloc(length, length)));
    const stream = Buffer.concat(sent);
    let boundary = 0;
    const boundaries = new Set([0, ...sent.map((frame) => (boundary += frame.length))]);
    for (let end = 0; end <= stream.length; end++) {
      for (const pieceLength of [1, 7, 1000]) {
        const reader = new FrameReader(LIMIT);
        readAll(reader, cutEvery(stream.subarray(0, end), pieceLength));
        assert.equal(reader.finish(), boundaries.has(end), `end at ${end}, pieces of ${pieceLength}`);
      }
    }
  });

  for (const length of [LIMIT - 1, LIMIT]) {
    it(`W3: takes a length of ${length}, where ${LIMIT} is the most`, () => {
      const stream = framed(Buffer.alloc(length, 7));
      for (const pieces of [[stream], cutEvery(stream, 1)]) {
        assert.deepEqual(readAll(new FrameReader(LIMIT), pieces), [Buffer.alloc(length, 7)]);
      }
    });
  }

  for (const length of [0, LIMIT + 1, 2 ** 31, 2 ** 32 - 1]) {
    it(`W3: refuses a length of ${length} at its last byte, before it allocates`, () => {
      for (const pieceLength of [1, 4]) {
        const reader = new FrameReader(LIMIT);
        const before = process.memoryUsage().arrayBuffers;
        assert.throws(() => readAll(reader, cutEvery(lengthOnly(length), pieceLength)), isProtocolError(/bytes/));
        assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
        assert.equal(reader.finish(), false);
        assert.throws(() => readAll(reader, [framed(Buffer.alloc(1))]), isProtocolError(/broken/));
      }
    });
  }

  it('hands out a frame that lies whole in the piece without copying it', () => {
    const piece = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))]);
    const frames = Array.from(new FrameReader(LIMIT).frames(piece));
    assert.deepEqual(
      frames.map((frame) => Buffer.from(frame).toString()),
      ['one', 'two'],
    );
    for (const frame of frames) {
      assert.equal(frame.buffer, piece.buffer);
      assert.notEqual(frame.slice().buffer, piece.buffer, 'slice() copies');
    }
    // Also where only its length came in the piece before.
    const reader = new FrameReader(LIMIT);
    assert.deepEqual(readAll(reader, [piece.subarray(0, 4)]), []);
    assert.equal(reader.frames(piece.subarray(4)).next().value?.buffer, piece.buffer);
  });

  it('I7: puts every cut frame together in the same buffer, as long as the limit', () => {
    const reader = new FrameReader(LIMIT);
    const buffers = new Set<unknown>();
    for (const length of [3, LIMIT, 17, 500]) {
      for (const piece of cutEvery(framed(Buffer.alloc(length)), 2)) {
        for (const frame of reader.frames(piece)) buffers.add(frame.buffer);
      }
    }
    assert.equal(buffers.size, 1);
    assert.equal(([...buffers][0] as ArrayBuffer).byteLength, LIMIT);
  });

  it('takes longer frames once the limit was raised, inside one piece too', () => {
    const reader = new FrameReader(10);
    const lengths: number[] = [];
    for (const frame of reader.frames(Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(20))]))) {
      lengths.push(frame.length);
      reader.limit = 20;
    }
    assert.deepEqual(lengths, [10, 20]);
    assert.deepEqual(readAll(reader, cutEvery(framed(Buffer.alloc(20)), 3)), [Buffer.alloc(20)]);
  });

  it('never goes on behind frames that nobody took', () => {
    const two = Buffer.concat([framed(Buffer.from('a')), framed(Buffer.from('b'))]);
    const left = new FrameReader(LIMIT);
    for (const frame of left.frames(two)) if (frame.length > 0) break;
    assert.throws(() => readAll(left, [two]), isProtocolError(/broken/));
    const nested = new FrameReader(LIMIT);
    nested.frames(two).next();
    assert.throws(() => readAll(nested, [two]), isError('failed', /still has frames/));
  });

  it('allows a chunk, its sealing and its header once an archive is open', () => {
    assert.equal(maxFrame(64 * 1024), 128 * 1024);
    assert.equal(maxFrame(256 * 1024), 320 * 1024);
  });
});
