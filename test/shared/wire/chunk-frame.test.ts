import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_VOLUME_SIZE } from '../../../shared/archive/address.ts';
import { CHUNK_HEADER, STORED_HEADER, writeChunkHeader, writeStoredHeader } from '../../../shared/wire/chunk-frame.ts';
import { decodeAgentMessage, decodeReceiverMessage } from '../../../shared/wire/message-codec.ts';
import { FrameReader } from '../../../shared/wire/frame.ts';
import { isError } from './expect.ts';

const address = fc.oneof(fc.integer({ min: 0, max: MAX_VOLUME_SIZE }), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32));
const data = fc.uint8Array({ minLength: 1, maxLength: 500 });

/** The one frame of a stream. */
function onlyFrame(stream: Uint8Array): Uint8Array {
  const reader = new FrameReader();
  const [frame, ...others] = reader.frames(stream);
  assert.ok(frame !== undefined && others.length === 0 && reader.finish());
  return frame;
}

describe('headers written ahead of data', () => {
  it('make a chunk that any decoder reads', () => {
    fc.assert(
      fc.property(address, data, fc.nat(50), (at, content, offset) => {
        const target = Buffer.alloc(offset + CHUNK_HEADER + content.length + 10, 0xee);
        target.set(content, offset + CHUNK_HEADER);
        const length = writeChunkHeader(target, offset, at, content.length);
        const frame = onlyFrame(target.subarray(offset, offset + length));
        assert.deepEqual(decodeAgentMessage(frame), { t: 'chunk', address: at, data: content });
        assert.ok(target.subarray(0, offset).every((byte) => byte === 0xee));
        assert.ok(target.subarray(offset + length).every((byte) => byte === 0xee));
      }),
    );
  });

  it('make an answer that any decoder reads, empty ones too', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), address, fc.oneof(data, fc.constant(new Uint8Array(0))), (re, at, content) => {
        const target = Buffer.concat([Buffer.alloc(STORED_HEADER), content]);
        const length = writeStoredHeader(target, 0, re, at, content.length);
        assert.equal(length, target.length);
        assert.deepEqual(decodeReceiverMessage(onlyFrame(target)), { t: 'stored', re, address: at, data: content });
      }),
    );
  });

  it('are, byte for byte, what they were in version 1', () => {
    const chunk = Buffer.alloc(CHUNK_HEADER);
    writeChunkHeader(chunk, 0, 0x123456789ab, 0x40000);
    assert.equal(
      chunk.toString('hex'),
      '00040024' + '83a174a56368756e6b' + 'a761646472657373cf00000123456789ab' + 'a464617461c600040000',
    );
    const stored = Buffer.alloc(STORED_HEADER);
    writeStoredHeader(stored, 0, 7, 0x40000, 1);
    assert.equal(
      stored.toString('hex'),
      '00000032' +
        '84a174a673746f726564' +
        'a27265cf0000000000000007' +
        'a761646472657373cf0000000000040000' +
        'a464617461c600000001',
    );
  });

  it('refuse what does not fit', () => {
    const target = Buffer.alloc(100);
    for (const offset of [-1, 0.5, 100 - CHUNK_HEADER + 1]) {
      assert.throws(() => writeChunkHeader(target, offset, 0, 1), isError('failed', /no room/));
    }
    for (const at of [-1, 0.5, 2 ** 53]) {
      assert.throws(() => writeChunkHeader(target, 0, at, 1), isError('failed', /not an address/));
      assert.throws(() => writeStoredHeader(target, 0, at, 0, 1), isError('failed', /not an address or id/));
    }
    for (const length of [-1, 0.5, 2 ** 32 - 1]) {
      assert.throws(() => writeChunkHeader(target, 0, 0, length), isError('failed', /do not fit a frame/));
    }
  });
});
