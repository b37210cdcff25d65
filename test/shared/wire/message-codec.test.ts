import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SparsebakError } from '../../../shared/errors.ts';
import { decodeAgentMessage, decodeReceiverMessage } from '../../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../../shared/wire/encode.ts';
import { FrameReader, LENGTH_PREFIX } from '../../../shared/wire/frame.ts';
import type { AgentMessage, ReceiverMessage } from '../../../shared/wire/messages.ts';
import { encodeMap } from '../../../shared/wire/msgpack.ts';
import { cutAt, cutEvery, fractions } from './cuts.ts';
import { isProtocolError } from './expect.ts';
import { agentMessage, agentMessages, receiverMessage, receiverMessages } from './messages.ts';

const sides = [
  { side: 'agent', types: agentMessages, message: agentMessage, decode: decodeAgentMessage },
  { side: 'receiver', types: receiverMessages, message: receiverMessage, decode: decodeReceiverMessage },
] as const;

type Message = AgentMessage | ReceiverMessage;
const payload = (message: Message): Uint8Array => encodeFrame(message).subarray(LENGTH_PREFIX);

for (const { side, types, message, decode } of sides) {
  describe(`the ${side}'s messages`, () => {
    for (const [type, arbitrary] of Object.entries<fc.Arbitrary<Message>>(types)) {
      it(`${type} arrives as it was sent`, () => {
        fc.assert(fc.property(arbitrary, (sent) => assert.deepEqual(decode(payload(sent)), sent)));
      });
    }

    it('W1: arrive the same however the stream is cut', () => {
      const messages = fc.array(message as fc.Arbitrary<Message>, { maxLength: 5 });
      fc.assert(
        fc.property(messages, fractions, (sent, cuts) => {
          const stream = Buffer.concat(sent.map(encodeFrame));
          for (const pieces of [[stream], cutEvery(stream, 1), cutAt(stream, cuts)]) {
            const reader = new FrameReader();
            const got: Message[] = [];
            // Decoded anew from a copy, since the reader's buffer is used again.
            for (const piece of pieces) for (const frame of reader.frames(piece)) got.push(decode(frame.slice()));
            assert.deepEqual(got, sent);
          }
        }),
        { numRuns: 50 },
      );
    });

    it('W11: flipped, cut and stretched at random, are refused as ours or are messages that encode again', () => {
      const count = { refused: 0, taken: 0 };
      const change = fc.record({
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        byte: fc.oneof(fc.nat(255), fc.constantFrom(0xc1, 0xd4, 0x72, 0xcf, 0xcb, 0xdf, 0xff)),
        kind: fc.constantFrom('replace', 'insert', 'remove'),
      });
      fc.assert(
        fc.property(
          message as fc.Arbitrary<Message>,
          fc.array(change, { minLength: 1, maxLength: 4 }),
          (sent, changes) => {
            const bytes = [...payload(sent)];
            for (const { at, byte, kind } of changes) {
              const removed = kind === 'insert' ? 0 : 1;
              bytes.splice(Math.floor(at * bytes.length), removed, ...(kind === 'remove' ? [] : [byte]));
            }
            let got: Message;
            try {
              got = decode(Uint8Array.from(bytes));
            } catch (error) {
              assert.ok(error instanceof SparsebakError, String(error));
              assert.equal(error.code, 'protocol');
              assert.ok(error.message.length < 400);
              count.refused++;
              return;
            }
            assert.deepEqual(decode(payload(got)), got);
            count.taken++;
          },
        ),
        { numRuns: 3000 },
      );
      assert.ok(count.refused > 500 && count.taken > 20, JSON.stringify(count));
    });

    it('W11: are refused as ours when they are bytes at random', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
          assert.throws(() => decode(bytes), isProtocolError(/./)),
        ),
      );
    });

    it('W4: have no other type', () => {
      for (const t of ['', 'HELLO', 'constructor', 'hasOwnProperty', 'x\x1b[2J']) {
        assert.throws(
          () => decode(encodeMap({ t, id: 1, re: 1 })),
          isProtocolError(/^an unknown message, "[^\p{Cc}]*"$/u),
        );
      }
      for (const t of [1, null, ['hello'], { t: 'hello' }, Buffer.from('hello')]) {
        assert.throws(() => decode(encodeMap({ t })), isProtocolError(/without a type/));
      }
      assert.throws(() => decode(encodeMap({})), isProtocolError(/without a type/));
    });

    it('W4: have their type once', () => {
      const twice = Buffer.from('82a174a3627965a174a3627965', 'hex');
      assert.throws(() => decode(twice), isProtocolError(/same key twice/));
    });
  });
}

describe('the form of messages', () => {
  it('is, byte for byte, what it was in version 1', () => {
    const hex = (message: Message): string => Buffer.from(encodeFrame(message)).toString('hex');
    assert.equal(hex({ t: 'bye', id: 1 }), '0000000b82a174a3627965a2696401');
    assert.equal(hex({ t: 'done', re: 200 }), '0000000d82a174a4646f6e65a27265ccc8');
    assert.equal(
      hex({ t: 'zeros', address: 2 ** 32, count: 1 }),
      ['0000002183a174a57a65726f73', 'a761646472657373cf0000000100000000', 'a5636f756e7401'].join(''),
    );
  });

  it('names the message and the field of what does not fit, and never what it held', () => {
    const cases: readonly [Record<string, unknown>, RegExp][] = [
      [
        { t: 'open', id: 1, archive: 'UPPER', lockWait: 0 },
        /^a bad message "open", field archive: not an archive name$/,
      ],
      [{ t: 'open', id: 1, archive: 'a', lockWait: 86_401 }, /"open", field lockWait/],
      [{ t: 'open', id: 0, archive: 'a', lockWait: 0 }, /"open", field id/],
      [{ t: 'open', id: 1, lockWait: 0 }, /"open", field archive/],
      [{ t: 'open', id: 1, archive: 'a', lockWait: 0, 'x\x1b': 1 }, /"open": unknown field "x\\u\{1b\}"$/],
      [{ t: 'chunk', address: 0, data: 'text' }, /"chunk", field data/],
      [{ t: 'chunk', address: 0, data: Buffer.alloc(0) }, /"chunk", field data: empty/],
      [{ t: 'chunk', address: 2 ** 44 + 1, data: Buffer.from('x') }, /"chunk", field address/],
      [{ t: 'zeros', address: 0, count: 0 }, /"zeros", field count/],
      [{ t: 'part', data: Buffer.alloc(64 * 1024 + 1) }, /"part", field data: too long/],
      [{ t: 'put-catalogue', id: 1, replaces: Buffer.alloc(31) }, /"put-catalogue", field replaces: not a hash/],
      [
        { t: 'get-heads', id: 1, volume: 'a'.repeat(32), sessions: ['S_20260230-000000'] },
        /field sessions\.0: not a session/,
      ],
      [
        { t: 'get-chunks', id: 1, volume: 'a'.repeat(32), session: 'S_20260101-000000', addresses: [] },
        /field addresses/,
      ],
      [{ t: 'put-slot', id: 1, name: '../x', data: Buffer.from('x') }, /field name: not a slot name/],
    ];
    for (const [map, reason] of cases) {
      assert.throws(() => decodeAgentMessage(encodeMap(map)), isProtocolError(reason));
    }
    const answer = { t: 'error', re: 1, code: 'secret-content', message: 'secret-content' };
    assert.throws(() => decodeReceiverMessage(encodeMap(answer)), isProtocolError(/^(?!.*secret).*field code/));
  });

  it('W10: a hello of another version, with fields that this one does not know, is read so that it can be refused', () => {
    for (const version of [0, 2]) {
      const hello = { t: 'hello', version, release: '9', capabilities: [], grant: 'all' as const };
      assert.deepEqual(decodeReceiverMessage(encodeMap({ ...hello, later: [1] })), hello);
    }
  });

  it('does not let one side say what only the other may', () => {
    assert.throws(
      () => decodeAgentMessage(encodeMap({ t: 'done', re: 1 })),
      isProtocolError(/unknown message, "done"/),
    );
    assert.throws(
      () => decodeReceiverMessage(encodeMap({ t: 'bye', id: 1 })),
      isProtocolError(/unknown message, "bye"/),
    );
  });

  it('I7: hostile frames leave no memory behind and take little while they are refused', () => {
    // 80 arrays of 4096 empty maps: 320 KiB that would become 20 MB of objects.
    const arrays = Buffer.concat(Array.from({ length: 80 }, () => Buffer.from(`dc1000${'80'.repeat(4096)}`, 'hex')));
    const bomb = Buffer.concat([Buffer.from('82a174a3627965a2696e' + 'dc0050', 'hex'), arrays]);
    const before = process.memoryUsage();
    for (let round = 0; round < 200; round++) {
      assert.throws(() => decodeAgentMessage(bomb), isProtocolError(/more than 131072 values/));
    }
    const after = process.memoryUsage();
    assert.ok(after.rss - before.rss < 64 * 2 ** 20, `${after.rss - before.rss} bytes more`);
  });

  it('W11: decoding makes no function out of text', () => {
    // In a process of its own, whose Function is a trap from before the first import.
    const script = `
      let made = 0;
      globalThis.Function = new Proxy(Function, { construct() { made++; throw new EvalError(); }, apply() { made++; throw new EvalError(); } });
      const { decodeAgentMessage } = await import(${JSON.stringify(import.meta.resolve('../../../shared/wire/message-codec.ts'))});
      const { encodeFrame } = await import(${JSON.stringify(import.meta.resolve('../../../shared/wire/encode.ts'))});
      const frame = encodeFrame({ t: 'open', id: 1, archive: 'a', lockWait: 0 }).subarray(4);
      for (let i = 0; i < 100; i++) decodeAgentMessage(frame);
      console.log(made);`;
    const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', script];
    assert.equal(execFileSync(process.execPath, flags, { encoding: 'utf8' }).trim(), '0');
  });
});
