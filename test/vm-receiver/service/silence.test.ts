import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CHUNK, VOLUME, bytes, pairingId, sessionName } from '../store/small-volumes.ts';
import type { Peer } from '../peer.ts';
import { OPEN, begin, open, sendFirst, withReceivers } from '../wire-session.ts';

const program = fileURLToPath(import.meta.resolve('../fixtures/impatient.ts'));

test('W7: a receiver that hears nothing exits, in whatever phase, and leaves nothing behind', () =>
  withReceivers(async ({ root, start }) => {
    const silent = start({ program });
    assert.equal((await silent.ended).code, 1);
    const greeted = start({ program });
    await greeted.greet();
    assert.equal((await greeted.ended).code, 1);
    const sending = await open(start({ program }));
    await sending.done(begin());
    await sending.push({ t: 'chunk', address: 0, data: bytes('a') });
    const { code, stderr } = await sending.ended;
    assert.equal(code, 1);
    assert.match(stderr, /nothing came from the agent for 1.2 s/);
    assert.deepEqual(readdirSync(join(root, 'laptop/volumes', VOLUME)), []);
  }));

test('W7: alive is enough, and a message that comes in drips', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start({ program }));
    for (let round = 0; round < 8; round++) {
      await delay(300);
      peer.send({ t: 'alive' });
    }
    for (const byte of [0, 0, 0, 9]) {
      await delay(400);
      peer.raw(Uint8Array.of(byte));
    }
    peer.raw(Buffer.from('\x81\xa1t\xa5alive', 'latin1'));
    assert.equal((await peer.bye()).code, 0);
  }));

test('working comes while a lock is waited for, with a growing counter', () =>
  withReceivers(async ({ start }) => {
    const first = await open(start());
    await first.done(begin());
    const second = start({ program });
    await second.greet();
    await second.done({ ...OPEN, lockWait: 1 } as typeof OPEN);
    const id = second.ask({ t: 'resolve', volume: VOLUME, pairing: pairingId(2), resume: false });
    const { closing } = await second.answerTo(id);
    assert.ok(closing.t === 'error' && closing.code === 'locked');
    assert.ok(second.working.length > 5, `${String(second.working.length)} times`);
    assert.deepEqual(
      second.working,
      [...second.working.keys()].map((number) => number + 1),
    );
    assert.equal((await second.bye()).code, 0);
    await first.done({ t: 'abandon', keep: false });
    assert.equal((await first.bye()).code, 0);
  }));

/** Sends a session of large chunks and asks for them all, far more than pipes hold. */
async function askForMuch(peer: Peer): Promise<number[]> {
  return Array.from({ length: 30 }, () =>
    peer.ask({
      t: 'get-chunks',
      volume: VOLUME,
      session: sessionName(1),
      addresses: Array.from({ length: 30 }, (_, chunk) => chunk * CHUNK),
    }),
  );
}

async function sendMuch(peer: Peer): Promise<void> {
  await peer.done(begin());
  for (let chunk = 0; chunk < 30; chunk++) {
    await peer.push({ t: 'chunk', address: chunk * CHUNK, data: Buffer.alloc(100_000, chunk) });
  }
  await peer.done({ t: 'commit', head: bytes('h') });
}

test('W9: an agent that reads nothing does not fill the receiver, and is given up on', () =>
  withReceivers(async ({ start }) => {
    const writer = await open(start());
    await sendMuch(writer);
    await writer.bye();
    const peer = start({ program });
    await peer.greet();
    await peer.done(OPEN);
    peer.pause();
    await askForMuch(peer);
    let most = 0;
    const watch = setInterval(() => {
      const kib = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${String(peer.child.pid)}/status`, 'utf8'))?.[1];
      most = Math.max(most, Number(kib ?? 0));
    }, 50);
    // The stream of its output ends only when it is read; its exit does not wait for that.
    const [code] = (await once(peer.child, 'exit')) as [number];
    clearInterval(watch);
    peer.resume();
    assert.equal(code, 1);
    assert.ok(most > 0 && most < 150 * 1024, `${String(most)} KiB`);
  }));

test('W7: an agent that reads slowly gets everything', () =>
  withReceivers(async ({ start }) => {
    const writer = await open(start());
    await sendMuch(writer);
    await writer.bye();
    const peer = start({ program });
    await peer.greet();
    await peer.done(OPEN);
    const [id] = await askForMuch(peer);
    for (let round = 0; round < 4; round++) {
      peer.pause();
      await delay(300);
      peer.resume();
      await delay(5);
    }
    assert.equal((await peer.answerTo(id!)).items.length, 30);
  }));

test('one socket for both directions, as qrexec has it', () =>
  withReceivers(async ({ root, start }) => {
    const path = join(root, 'socket');
    const server = createServer({ pauseOnConnect: true }).listen(path);
    await once(server, 'listening');
    const ours = connect({ path, allowHalfOpen: true });
    const [theirs] = (await once(server, 'connection')) as [Socket];
    server.close();
    const peer = start({ socket: { theirs, ours } });
    theirs.destroy();
    await open(peer);
    await sendFirst(peer);
    const { items } = await peer.done({ t: 'get-chunks', volume: VOLUME, session: sessionName(1), addresses: [0] });
    assert.equal(items.length, 1);
    await peer.done({ t: 'bye' });
    assert.equal(await peer.next(), undefined);
    assert.equal((await peer.ended).code, 0);
  }));
