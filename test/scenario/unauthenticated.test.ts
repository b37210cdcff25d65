// The key of a plain archive is lost: what is on the backup disk can still be had, and is not called proven.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { restoreDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');
const MIB = 2 ** 20;

for (const compression of ['gzip', 'zstd', 'none']) {
  test(`a plain archive without its key, compression ${compression}`, async (t) => {
    const random = new Random(`unauthenticated ${compression}`);
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    const head = Buffer.alloc(70 * MIB);
    random.bytes(3 * MIB).copy(head, 100_000);
    // What a guest may put there: bytes that begin as a chunk's file does.
    Buffer.from('1f8b08040000000000ff140053421000', 'hex').copy(head, 69 * MIB);
    lab.write('a.img', head);
    lab.write('sub/b.img', random.bytes(1));
    await lab.init('--encryption', 'off', '--compression', compression, '--chunk-size', '64K');
    const first = await lab.send('--full');
    lab.keep(first);
    lab.write('a.img', Buffer.concat([random.bytes(5000), head.subarray(5000, MIB), random.bytes(777)]));
    lab.keep(await lab.send());
    rmSync(lab.stateDir, { recursive: true });

    const to = join(lab.folder, 'out');
    const restore = async (...args: string[]) =>
      await lab.run(['restore', '--unauthenticated', '--to', to, '--json', ...args]);
    for (const [volume, sessions] of lab.kept) {
      for (const [session, kept] of sessions) {
        const document = (await restore(volume, '--session', session)).expect(0).json(restoreDocument);
        assert.equal(document.authenticated, false);
        assert.ok(readFileSync(to).equals(readFileSync(kept)), `${volume} ${session}`);
        rmSync(to);
      }
    }
    assert.equal(lab.kept.get('a.img')?.size, 2);
    const [id] = readdirSync(join(lab.root, 'laptop/volumes'));
    (await restore(id!)).expect(0);
    assert.match((await lab.run(['restore', 'a.img', '--unauthenticated', '--to', to, '--force'])).stdout, /NOTHING/);

    writeFileSync(to, 'mine');
    assert.match((await restore('a.img')).expect(1).stderr, /exists already/);
    assert.equal(readFileSync(to, 'utf8'), 'mine');
    rmSync(to);
    assert.match((await restore('c.img')).expect(1).stderr, /It shows: a.img, sub\/b.img/);
    assert.match((await restore('a.img', '--session', 'yesterday')).expect(2).stderr, /not the name of a session/);
    assert.ok(!existsSync(to));
  });
}

test('an encrypted archive is refused, and says what to do', async (t) => {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', Buffer.alloc(1000, 1));
  await lab.init();
  await lab.send('--full');
  const ran = await lab.run(['restore', 'a.img', '--unauthenticated', '--to', join(lab.folder, 'out')]);
  assert.match(ran.expect(2).stderr, /encrypted[^]*key unlock/);
  assert.ok(!existsSync(join(lab.folder, 'out')));
});
