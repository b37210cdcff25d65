import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { encodeFrame } from '../../../shared/wire/encode.ts';
import { MAGIC } from '../../../shared/wire/magic.ts';
import type { AgentMessage } from '../../../shared/wire/messages.ts';
import { Random } from '../../fixtures/random.ts';
import { CHUNK, RANGE, VOLUME, bytes, pairingId, sessionName } from '../store/small-volumes.ts';
import { CREATE, OPEN, SESSION, begin, open, sendFirst, sessionsSeen, withReceivers } from '../wire-session.ts';
import { limit } from '../../fixtures/limits.ts';

/** A whole call as bytes, cut at its messages. */
function wholeCall(): Uint8Array[] {
  let id = 0;
  const messages = [CREATE, OPEN, begin(), ...SESSION, { t: 'bye' } as const].map((message) =>
    ['chunk', 'zeros', 'page', 'part'].includes(message.t) ? message : { ...message, id: (id += 1) },
  ) as AgentMessage[];
  const hello = encodeFrame({ t: 'hello', version: 1, release: 'test', capabilities: [] });
  return [MAGIC, hello, ...messages.map((message) => encodeFrame(message))];
}

/** What must be there after the stream ended behind so many whole frames. */
function expectedAfter(frames: number): { sessions: number; unfinished: number } {
  // Magic, hello, create, open, begin are five; the checkpoint is the fourth message of the session.
  const said = SESSION.slice(0, Math.max(0, frames - 5)).map(({ t }) => t);
  if (said.includes('commit')) return { sessions: 1, unfinished: 0 };
  return { sessions: 0, unfinished: said.includes('checkpoint') ? 1 : 0 };
}

function found(root: string): { sessions: number; unfinished: number } {
  const volume = join(root, 'laptop/volumes', VOLUME);
  const names = existsSync(volume) ? readdirSync(volume) : [];
  return {
    sessions: names.filter((name) => name.startsWith('S_')).length,
    unfinished: names.filter((name) => name.startsWith('.tmp-')).length,
  };
}

test(
  'W2: the stream ends behind each message: status 1, and only what was committed stays',
  { timeout: limit(120_000) },
  async () => {
    const frames = wholeCall();
    for (let count = 0; count <= frames.length; count++) {
      await withReceivers(async ({ root, start }) => {
        const peer = start();
        for (const frame of frames.slice(0, count)) peer.raw(frame);
        const { code, stderr } = await peer.hangUp();
        assert.equal(code, count === frames.length ? 0 : 1, `${String(count)} frames: ${stderr}`);
        assert.deepEqual(found(root), expectedAfter(count), `${String(count)} frames`);
      });
    }
  },
);

test('W2: the stream ends within a message: as if that had not begun', { timeout: limit(120_000) }, async () => {
  const frames = wholeCall();
  const random = new Random('cut frames');
  for (let count = 0; count < frames.length; count++) {
    const whole = frames.slice(0, count);
    const cut = frames[count]!.subarray(0, random.between(1, frames[count]!.length - 1));
    await withReceivers(async ({ root, start }) => {
      const peer = start();
      peer.raw(Buffer.concat([...whole, cut]));
      const { code, stderr } = await peer.hangUp();
      assert.equal(code, 1, stderr);
      assert.deepEqual(found(root), expectedAfter(count));
    });
  }
});

test('W1: one byte at a time, and all at once', () =>
  withReceivers(async ({ root, start }) => {
    const call = Buffer.concat(wholeCall());
    const slow = start();
    for (let at = 0; at < call.length; at++) {
      slow.raw(call.subarray(at, at + 1));
      if (at % 50 === 0) await delay(1);
    }
    assert.equal((await slow.hangUp()).code, 0);
    assert.deepEqual(found(root), { sessions: 1, unfinished: 0 });
    const again = start();
    again.raw(call);
    // The same session again: refused, and with it the chunks that follow, which ends the connection.
    assert.equal((await again.hangUp()).code, 5);
    assert.deepEqual(found(root), { sessions: 1, unfinished: 0 });
  }));

test('W6: an id that was used, or is lower, ends the connection', () =>
  withReceivers(async ({ start }) => {
    for (const id of [2, 3]) {
      const peer = await open(start());
      peer.send({ t: 'get-slots', id: 3 });
      assert.equal((await peer.answerTo(3)).closing.t, 'done');
      peer.send({ t: 'get-slots', id });
      const answer = await peer.next();
      assert.ok(answer?.t === 'error' && answer.re === id && answer.code === 'bad-request');
      assert.equal((await peer.ended).code, 5);
    }
  }));

test('W3: a frame of no bytes or too many ends the connection before it is read', () =>
  withReceivers(async ({ start }) => {
    const header = (length: number) => {
      const frame = Buffer.alloc(4);
      frame.writeUInt32BE(length);
      return frame;
    };
    const small = 128 * 1024;
    for (const length of [0, small + 1, 2 ** 32 - 1]) {
      const peer = start();
      await peer.greet();
      peer.raw(header(length));
      assert.equal(await peer.next(), undefined);
      assert.equal((await peer.ended).code, 5);
    }
    // One as long as may be, and as the archive's chunks allow, is taken.
    const peer = await open(start());
    await peer.done(begin());
    const overhead = encodeFrame({ t: 'chunk', address: 0, data: bytes('x'.repeat(70_000)) }).length - 70_000;
    await peer.push({ t: 'chunk', address: 0, data: Buffer.alloc(small + 4 - overhead, 1) });
    await peer.done({ t: 'checkpoint', address: RANGE });
    peer.send({ t: 'chunk', address: RANGE, data: Buffer.alloc(small + 5 - overhead, 1) });
    assert.equal((await peer.ended).code, 5);
  }));

test('W8: parts without end are stopped', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    const data = Buffer.alloc(65_536);
    for (let count = 0; count <= 256; count++) {
      if (peer.child.exitCode !== null) break;
      peer.send({ t: 'part', data });
    }
    const { code, stderr } = await peer.ended;
    assert.equal(code, 5);
    assert.match(stderr, /16777216 bytes of parts/);
  }));

test('W13: what is not the magic is refused at once', () =>
  withReceivers(async ({ start }) => {
    const peer = start();
    peer.raw(bytes('Welcome to the machine\n'));
    assert.equal((await peer.ended).code, 5);
  }));

test('W12: text from the agent is escaped in the log', () =>
  withReceivers(async ({ start }) => {
    const peer = start();
    peer.raw(MAGIC);
    peer.raw(encodeFrame({ t: '\u001b[2Jevil', x: 1 } as never));
    const { code, stderr } = await peer.ended;
    assert.equal(code, 5);
    assert.ok(!stderr.includes('\u001b') && !stderr.includes('\\u001b'), stderr);
    assert.match(stderr, /evil/);
  }));

/** Of each session that is killed. */
const CHUNKS = 300;

test(
  'I2, I3, I9: a receiver that is killed at any moment leaves what the next call puts right',
  { timeout: limit(170_000) },
  async () => {
    const random = new Random('kill');
    let killed = 0;
    let committed = 0;
    await withReceivers(async (receivers) => {
      const { start } = receivers;
      await (await open(start())).bye();
      for (let session = 1; session <= 20; session++) {
        const base = (await sessionsSeen(receivers)).at(-1);
        const request = begin({
          session: sessionName(session),
          pairing: pairingId(session),
          base: (base ?? null) as never,
        });
        const peer = await open(start());
        await peer.done(request);
        // Killed while it works on this one, or a moment later: half of the time around the commit.
        const last = random.once(2) ? CHUNKS + 1 : random.int(CHUNKS + 1);
        for (let chunk = 0; chunk < Math.min(last + 1, CHUNKS); chunk++) {
          await peer.push({ t: 'chunk', address: chunk * CHUNK, data: Buffer.alloc(20_000, session) });
        }
        const answers = { committed: false };
        // The checkpoint's answer comes first.
        const answered = (id: number) =>
          peer
            .answerTo(id - 1)
            .then(() => peer.answerTo(id))
            .then(() => (answers.committed = true))
            .catch(() => undefined);
        if (last >= CHUNKS) peer.ask({ t: 'checkpoint', address: RANGE });
        if (last > CHUNKS) void answered(peer.ask({ t: 'commit', head: bytes(`head ${String(session)}`) }));
        await delay(random.int(last > CHUNKS ? 250 : 40));
        await peer.kill();
        if (answers.committed) committed += 1;
        else killed += 1;

        // I2: what was answered is there. What was not is there whole or not at all.
        const check = await open(start());
        const { closing } = await check.done({
          t: 'resolve',
          volume: VOLUME,
          pairing: pairingId(session),
          resume: false,
        });
        assert.ok(closing.t === 'resolved');
        if (answers.committed) assert.equal(closing.session, sessionName(session));
        if (closing.session !== null) {
          const newest = closing.session;
          const number = Number(newest.slice(-2));
          const addresses = [0, (CHUNKS - 1) * CHUNK];
          const { items } = await check.done({ t: 'get-chunks', volume: VOLUME, session: newest, addresses });
          for (const item of items) {
            assert.ok(
              item.t === 'stored' && item.data?.length === 20_000 && item.data.every((byte) => byte === number),
            );
          }
        }
        assert.equal(found(receivers.root).unfinished, 0);
        assert.equal((await check.bye()).code, 0);
      }
    });
    console.log(`killed ${String(killed)} times, committed ${String(committed)} times`);
    assert.ok(killed > 0 && committed > 0, 'nothing was tried');
  },
);

test('S11: the lock of a killed receiver is free at once', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    await peer.done(begin());
    await peer.kill();
    const next = await open(start());
    const { closing } = await next.done({ t: 'resolve', volume: VOLUME, pairing: pairingId(1), resume: true });
    assert.ok(closing.t === 'resolved' && closing.checkpoint === null && closing.session === null);
    await sendFirst(next);
    assert.equal((await next.bye()).code, 0);
  }));

test('S10: a second receiver waits for the first one’s send, says so, and gets its turn', () =>
  withReceivers(async ({ start }) => {
    const first = await open(start());
    await first.done(begin());
    const second = await open(start());
    const id = second.ask({ t: 'resolve', volume: VOLUME, pairing: pairingId(2), resume: false });
    await delay(500);
    for (const message of SESSION) {
      if (['chunk', 'zeros', 'page', 'part'].includes(message.t)) await first.push(message as AgentMessage);
      else await first.done(message as never);
    }
    const { closing } = await second.answerTo(id);
    assert.ok(closing.t === 'resolved' && closing.session === sessionName(1));
    assert.equal((await first.bye()).code, 0);
    assert.equal((await second.bye()).code, 0);
  }));

test('an agent that goes while its receiver waits for a lock takes the receiver with it', () =>
  withReceivers(async ({ start }) => {
    const first = await open(start());
    await first.done(begin());
    const second = start();
    await second.greet();
    await second.done({ ...OPEN, lockWait: 3600 } as typeof OPEN);
    second.ask({ t: 'resolve', volume: VOLUME, pairing: pairingId(2), resume: false });
    await delay(300);
    assert.equal((await second.hangUp()).code, 1);
    await first.done({ t: 'abandon', keep: false });
    assert.equal((await first.bye()).code, 0);
  }));
