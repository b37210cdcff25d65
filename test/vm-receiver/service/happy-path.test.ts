import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  CHUNK,
  OTHER_VOLUME,
  RANGE,
  VOLUME,
  bytes,
  catalogueOf,
  pairingId,
  saidBy,
  sessionName,
  slotOf,
  text,
} from '../store/small-volumes.ts';
import type { Peer } from '../peer.ts';
import { CREATE, OPEN, begin, open, sendFirst, withReceivers } from '../wire-session.ts';

test('a call from the magic to bye: create, send, read, send again, read', () =>
  withReceivers(async ({ root, start }) => {
    const peer = start();
    const hello = await peer.greet();
    assert.ok(hello?.t === 'hello' && hello.version === 1 && hello.grant === 'all');
    await createAndOpen(peer);
    await sendFirst(peer);

    assert.deepEqual(await chunks(peer, 1, [0, 1, 1500]), ['zero', undefined, 'far']);
    assert.deepEqual(await data(peer, { t: 'get-index', volume: VOLUME, session: sessionName(1) }), 'index 1');
    assert.deepEqual(await data(peer, { t: 'get-page', volume: VOLUME, session: sessionName(1), range: 1 }), 'page 1');

    await peer.done(begin({ base: sessionName(1), session: sessionName(2), pairing: pairingId(2) }));
    await peer.push({ t: 'zeros', address: 0, count: 1700 });
    // The base is read during the send.
    assert.deepEqual(await data(peer, { t: 'get-page', volume: VOLUME, session: sessionName(1), range: 0 }), 'page 0');
    await peer.done({ t: 'commit', head: bytes('head 2') });
    assert.deepEqual(await chunks(peer, 2, [0, 1, 1500]), ['', undefined, '']);
    assert.deepEqual(await chunks(peer, 1, [0, 1, 1500]), ['zero', undefined, 'far']);

    const heads = await peer.done({ t: 'get-heads', volume: VOLUME, sessions: [] });
    assert.deepEqual(
      heads.items.map((item) => (item.t === 'head' ? text(item.data) : item)),
      ['head 1', 'head 2'],
    );
    const volumes = await peer.done({ t: 'get-volumes' });
    assert.deepEqual(volumes.items, [
      {
        t: 'volume',
        re: volumes.closing.t === 'done' ? volumes.closing.re : 0,
        volume: VOLUME,
        sessions: [
          { session: sessionName(1), storedBytes: 32, files: 2, protected: false },
          { session: sessionName(2), storedBytes: 6, files: 2, protected: false },
        ],
      },
    ]);
    const resolved = (await peer.done({ t: 'resolve', volume: VOLUME, pairing: pairingId(2), resume: true })).closing;
    assert.ok(
      resolved.t === 'resolved' && resolved.session === sessionName(2) && text(resolved.head ?? undefined) === 'head 2',
    );
    assert.deepEqual(await peer.bye(), { code: 0, signal: null, stderr: '' });

    const volume = join(root, 'laptop/volumes', VOLUME);
    assert.deepEqual(readdirSync(volume).sort(), [sessionName(1), sessionName(2)]);
    assert.equal(readFileSync(join(volume, sessionName(1), 'size'), 'utf8'), `${String(2000 * CHUNK)}\n`);
    for (const session of readdirSync(volume)) {
      execFileSync('sha256sum', ['-c', '--quiet', 'sha256'], { cwd: join(volume, session) });
      for (const range of readdirSync(join(volume, session)).filter((name) => /^[0-9a-f]{10}$/.test(name))) {
        const folder = join(volume, session, range);
        execFileSync('sha256sum', ['-c', '--quiet', 'sha256'], { cwd: folder });
        const listed = readFileSync(join(folder, 'sha256'), 'utf8').trimEnd().split('\n');
        assert.equal(listed.length, readdirSync(folder).length - 1);
      }
    }
    assert.equal(statSync(join(volume, sessionName(2), '0000000000', '0000000000000000')).size, 0);
  }));

test('slots and the catalogue over the wire', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    await peer.done({ t: 'put-slot', name: 'recovery', data: slotOf('r') });
    await peer.done({ t: 'drop-slot', name: 'passphrase' });
    const { items } = await peer.done({ t: 'get-slots' });
    assert.deepEqual(
      items.map((item) => (item.t === 'slot' ? [item.name, saidBy(item.data)] : item)),
      [['recovery', 'r']],
    );
    const long = Buffer.alloc(200_000, 7);
    long.set([1, 5]);
    const replaces = createHash('sha512-256').update(catalogueOf('catalogue 1')).digest();
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < long.length; at += 65_536) peer.send({ t: 'part', data: long.subarray(at, at + 65_536) });
      await peer.done({ t: 'put-catalogue', replaces });
    }
    peer.send({ t: 'part', data: catalogueOf('another') });
    assert.equal(await peer.refused({ t: 'put-catalogue', replaces }), 'conflict');
    // Parts are dropped by any other request between.
    peer.send({ t: 'part', data: catalogueOf('another') });
    await peer.done({ t: 'get-slots' });
    assert.equal(await peer.refused({ t: 'put-catalogue', replaces }), 'bad-request');
    const read = await peer.done({ t: 'get-catalogue' });
    assert.ok(Buffer.concat(read.items.map((item) => (item.t === 'data' ? item.data : bytes('')))).equals(long));
    assert.equal((await peer.bye()).code, 0);
  }));

test('requests that are sent ahead are answered in their order', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    await sendFirst(peer);
    const ids = Array.from({ length: 32 }, (_, number) =>
      peer.ask({ t: 'get-chunks', volume: VOLUME, session: sessionName(1), addresses: [number * CHUNK] }),
    );
    for (const id of ids) assert.equal((await peer.answerTo(id)).items.length, 1);
    assert.equal((await peer.bye()).code, 0);
  }));

test('what is not there is absent or not found, and the call goes on', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    const volume = OTHER_VOLUME;
    const session = sessionName(1);
    assert.equal((await peer.done({ t: 'get-index', volume, session })).closing.t, 'absent');
    assert.equal((await peer.done({ t: 'get-page', volume, session, range: 0 })).closing.t, 'absent');
    assert.deepEqual((await peer.done({ t: 'get-heads', volume, sessions: [] })).items, []);
    assert.equal(await peer.refused({ t: 'get-chunks', volume, session, addresses: [0] }), 'not-found');
    assert.equal(await peer.refused(begin({ base: sessionName(1), session: sessionName(2) })), 'stale-base');
    assert.equal(await peer.refused(begin({ resume: true })), 'not-found');
    assert.equal(await peer.refused(begin({ name: 'in the clear' })), 'bad-request');
    assert.equal((await peer.bye()).code, 0);
  }));

test('a send that fails is told to begin, ignored, and over when it is abandoned', () =>
  withReceivers(async ({ start }) => {
    const peer = await open(start());
    const id = peer.ask(begin());
    assert.equal((await peer.answerTo(id)).closing.t, 'done');
    peer.send({ t: 'chunk', address: RANGE, data: bytes('a') });
    peer.send({ t: 'chunk', address: 0, data: bytes('out of order') });
    peer.send({ t: 'chunk', address: RANGE + CHUNK, data: bytes('ignored') });
    const error = await peer.next();
    assert.ok(error?.t === 'error' && error.re === id && error.code === 'bad-request');
    assert.equal(await peer.refused({ t: 'checkpoint', address: 2 * RANGE }), 'bad-request');
    assert.equal(await peer.refused({ t: 'commit', head: bytes('h') }), 'bad-request');
    await peer.done({ t: 'abandon', keep: true });
    await sendFirst(peer);
    assert.deepEqual(await chunks(peer, 1, [0, 1024]), ['zero', undefined]);
    assert.equal((await peer.bye()).code, 0);
  }));

test('an archive of another name, and one that the configuration does not allow', () =>
  withReceivers(async ({ start }) => {
    const peer = start({ args: ['--archive', 'desktop'] });
    await peer.greet();
    assert.equal(await peer.refused({ t: 'open', archive: 'desktop' as never, lockWait: 1 }), 'not-found');
    assert.equal(await peer.refused({ t: 'open', archive: 'laptop' as never, lockWait: 1 }), 'refused');
    assert.equal((await peer.bye()).code, 0);
  }));

async function createAndOpen(peer: Peer): Promise<void> {
  await peer.done(CREATE);
  await peer.done(CREATE);
  const { closing } = await peer.done(OPEN);
  assert.ok(closing.t === 'opened' && closing.chunkSize === CHUNK && closing.encrypted && !closing.dedup);
}

async function chunks(peer: Peer, session: number, numbers: readonly number[]): Promise<(string | undefined)[]> {
  const addresses = numbers.map((number) => number * CHUNK);
  const { items } = await peer.done({ t: 'get-chunks', volume: VOLUME, session: sessionName(session), addresses });
  assert.deepEqual(
    items.map((item) => (item.t === 'stored' ? item.address : item)),
    addresses,
  );
  return items.map((item) => (item.t === 'stored' ? text(item.data ?? undefined) : 'not stored'));
}

async function data(peer: Peer, request: Parameters<Peer['done']>[0]): Promise<string> {
  const { items } = await peer.done(request);
  return items.map((item) => (item.t === 'data' ? text(item.data) : 'no data')).join('');
}
