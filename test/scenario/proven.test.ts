// What was last proven to be restorable is kept for each volume, and shown.

import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;

test('I9 a send proves a sample, verify and restore all of a session, and nothing what is damaged', async (t) => {
  const random = new Random('proven');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  const proven = async () => (await lab.list()).volumes[0]!.proven;
  lab.write('a.img', random.bytes(20 * CHUNK));
  await lab.init('--chunk-size', '64K');
  const first = await lab.send('--full');
  const afterFirst = await proven();
  assert.equal(afterFirst.whole, null);
  assert.equal(afterFirst.sample?.session, first.session);
  assert.ok(afterFirst.sample.chunks > 0 && afterFirst.sample.chunks <= 64);

  (await lab.run(['verify'])).expect(0);
  const verified = await proven();
  assert.deepEqual([verified.whole?.session, verified.whole?.chunks], [first.session, 20]);

  writeAt(lab.path('a.img'), 3 * CHUNK, random.bytes(100));
  const second = await lab.send();
  assert.deepEqual(await proven().then(({ whole, sample }) => [whole?.session, sample?.session]), [
    first.session,
    second.session,
  ]);
  const table = (await lab.run(['list'])).expect(0).stdout;
  assert.match(table, new RegExp(`${first.session!} .*all, ${verified.whole!.time.slice(0, 10)}\n`));
  assert.match(table, new RegExp(`${second.session!} .*\\d+ chunks, \\d{4}-\\d\\d-\\d\\d\n`));

  await lab.restore('a.img');
  assert.equal((await proven()).whole?.session, second.session);

  const volumes = join(lab.root, 'laptop/volumes');
  const stored = readdirSync(volumes, { recursive: true, encoding: 'utf8' });
  rmSync(
    join(
      volumes,
      stored.find((path) => path.includes(first.session!) && path.endsWith('0000000000000000'))!,
    ),
  );
  (await lab.run(['verify', '--session', first.session!])).expect(4);
  assert.equal((await proven()).whole?.session, second.session);

  // It is for people only: lost or damaged it counts as nothing.
  writeFileSync(join(lab.stateDir, 'archives/laptop/proofs.json'), '{');
  assert.deepEqual(await proven(), { whole: null, sample: null });
});
