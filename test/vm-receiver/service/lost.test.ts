// What is lost or damaged of one object is answered for that object, and the call goes on.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OTHER_VOLUME, VOLUME, pairingId, sessionName, slotOf } from '../store/small-volumes.ts';
import { OPEN, SESSION, begin, open, say, withReceivers } from '../wire-session.ts';
import type { Peer } from '../peer.ts';

/** An archive of two volumes with two sessions each. */
async function twoVolumes(peer: Peer): Promise<void> {
  await open(peer);
  for (const volume of [VOLUME, OTHER_VOLUME]) {
    for (const session of [1, 2]) {
      const base = session === 1 ? null : sessionName(1);
      const pairing = pairingId(session);
      await peer.done(begin({ volume, base, pairing, session: sessionName(session) }));
      for (const message of SESSION) await say(peer, message);
    }
  }
  await peer.done({ t: 'put-slot', name: 'recovery', data: slotOf('another slot') });
}

type Harm = (path: string) => void;

const HARMS: Record<string, Harm> = {
  'is empty': (path) => {
    writeFileSync(path, '');
  },
  'is gone, and a folder in its place': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  'has 8 GiB': (path) => {
    truncateSync(path, 8 * 2 ** 30);
  },
  'links to itself': (path) => {
    rmSync(path);
    symlinkSync(path, path);
  },
};

for (const [what, harm] of Object.entries(HARMS)) {
  test(`A2 one slot, head, index or page ${what}: the others are answered, and the call goes on`, () =>
    withReceivers(async ({ root, start }) => {
      const maker = start();
      await twoVolumes(maker);
      await maker.bye();
      const archive = join(root, 'laptop');
      const session = join(archive, 'volumes', VOLUME, sessionName(1));
      const paths = [join(archive, 'keys/passphrase'), join(session, 'head'), join(session, 'index')];
      // An empty page is that of a range without entries, and no loss.
      if (what !== 'is empty') paths.push(join(session, '0000000000/page'));
      for (const path of paths) harm(path);

      const peer = start();
      await peer.greet(['lost']);
      await peer.done(OPEN);
      const slots = await peer.done({ t: 'get-slots' });
      assert.deepEqual(
        slots.items.map((item) => [item.t, 'name' in item && item.name]),
        [
          ['lost', 'passphrase'],
          ['slot', 'recovery'],
        ],
      );
      const heads = await peer.done({ t: 'get-heads', volume: VOLUME, sessions: [] });
      assert.deepEqual(
        heads.items.map((item) => [item.t, item.t === 'lost' ? item.name : 'session' in item && item.session]),
        [
          ['lost', sessionName(1)],
          ['head', sessionName(2)],
        ],
      );
      const asked = { volume: VOLUME, session: sessionName(1) };
      const index = await peer.done({ t: 'get-index', ...asked });
      assert.equal(index.closing.t, what === 'is empty' ? 'done' : 'absent');
      assert.deepEqual(index.items, []);
      if (what !== 'is empty') {
        assert.equal((await peer.done({ t: 'get-page', ...asked, range: 0 })).closing.t, 'absent');
      }
      assert.equal((await peer.done({ t: 'get-volumes' })).items.length, 2);
      assert.equal((await peer.bye()).code, 0);

      // An agent that knows nothing of it gets what there is.
      const older = start();
      await older.greet();
      await older.done(OPEN);
      assert.deepEqual((await older.done({ t: 'get-slots' })).items.length, 1);
      assert.deepEqual((await older.done({ t: 'get-heads', volume: VOLUME, sessions: [] })).items.length, 1);
      assert.equal((await older.bye()).code, 0);
    }));
}

test('a volume that cannot be listed, and a catalogue that is lost, are told, and stop no other', () =>
  withReceivers(async ({ root, start }) => {
    const maker = start();
    await twoVolumes(maker);
    await maker.bye();
    const archive = join(root, 'laptop');
    const session = join(archive, 'volumes', VOLUME, sessionName(2));
    renameSync(session, join(root, 'elsewhere'));
    writeFileSync(session, 'no folder');
    writeFileSync(join(archive, 'catalogue'), '');
    const peer = start();
    await peer.greet(['lost']);
    await peer.done(OPEN);
    const { items } = await peer.done({ t: 'get-volumes' });
    assert.deepEqual(
      items.map((item) => [item.t, item.t === 'lost' ? item.name : 'volume' in item && item.volume]),
      [
        ['lost', VOLUME],
        ['volume', OTHER_VOLUME],
      ],
    );
    assert.match(
      items[0]?.t === 'lost' ? items[0].message : '',
      /S_20261123-000002 has a session's name and is not a folder/,
    );
    assert.equal((await peer.done({ t: 'get-catalogue' })).closing.t, 'absent');
    await peer.done(
      begin({ volume: OTHER_VOLUME, base: sessionName(2), session: sessionName(3), pairing: pairingId(3) }),
    );
    for (const message of SESSION) await say(peer, message);
    assert.equal((await peer.bye()).code, 0);
    assert.equal(readdirSync(join(archive, 'volumes', OTHER_VOLUME)).length, 3);
  }));
