// Where each volume stands, by dom0's own records.

import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { statusDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const xfs = ground('xfs');
const CHUNK = 64 * 1024;

test('status: new, saved, changed, cut off, running, gone, and no longer selected', { skip: xfs.skip }, async (t) => {
  const random = new Random('status');
  const selected = { volumes: ['a/private.img', 'b.img'], more: 'state = "stopped"' } as const;
  const pool = { name: 'main', type: 'reflink', path: xfs.folder(), ...selected } as const;
  const lab = new BackupSystem(t, { pools: [pool] });
  const status = async (...names: string[]) => {
    const { volumes } = await lab.ask(statusDocument, ['status', ...names]);
    return new Map(volumes.map((volume) => [volume.name, volume]));
  };
  for (const name of ['a/private.img', 'b.img']) lab.write(name, random.bytes(8 * CHUNK));
  await lab.init('--chunk-size', '64K');
  const fresh = await status();
  assert.deepEqual(
    [...fresh.values()].map(({ name, kind, session }) => [name, kind, session]),
    [
      ['a/private.img', 'new', null],
      ['b.img', 'new', null],
    ],
  );
  assert.match((await lab.run(['status'])).expect(0).stdout, /a\/private\.img .*not sent yet: "sparsebak send --full"/);

  const { session } = await lab.send('--full');
  writeAt(lab.path('a/private.img'), 0, random.bytes(CHUNK + 1));
  await lab.monitor();
  const saved = await status();
  assert.deepEqual(
    [...saved.values()].map(({ name, kind, session: newest, changedChunks }) => [name, kind, newest, changedChunks]),
    [
      ['a/private.img', 'saved', session, 2],
      ['b.img', 'saved', session, 0],
    ],
  );
  assert.equal(saved.get('a/private.img')?.proven.sample?.session, session);
  assert.ok(Math.abs(Date.parse(saved.get('a/private.img')!.noted!) - Date.now()) < 3_600_000);

  // As a qube that runs has it.
  writeFileSync(join(pool.path, 'a/private-dirty.img'), 'x');
  renameSync(join(pool.path, 'b.img'), join(pool.path, 'elsewhere'));
  await lab.monitor('a/private.img');
  const later = new Map(
    (await lab.run(['status', '--json']))
      .expect(3)
      .json(statusDocument)
      .volumes.map((volume) => [volume.name, volume]),
  );
  assert.deepEqual([later.get('a/private.img')?.running, later.get('b.img')?.kind], [true, 'missing']);
  rmSync(join(pool.path, 'a/private-dirty.img'));
  assert.equal((await status('a/private.img')).get('a/private.img')?.running, false);

  renameSync(join(pool.path, 'elsewhere'), join(pool.path, 'b.img'));
  const kill = { from: 'agent', what: 'commit', action: 'kill-agent' } as const;
  (await lab.run(['send', 'a/private.img'], lab.interposed(kill))).expectKilled();
  const cut = (await status('a/private.img')).get('a/private.img');
  assert.deepEqual([cut?.session, typeof cut?.unfinished], [session, 'string']);
  const { session: second } = await lab.send('a/private.img');
  const settled = (await status('a/private.img')).get('a/private.img');
  assert.deepEqual([settled?.session, settled?.unfinished, settled?.changedChunks], [second, null, 0]);

  const { config } = lab;
  writeFileSync(config, readFileSync(config, 'utf8').replace(/,\s*"b\.img"/, ''));
  const left = (await status()).get('b.img');
  assert.deepEqual([left?.kind, left?.pool, left?.session], ['unselected', null, session]);
  // It asks nobody.
  renameSync(lab.root, `${lab.root}.away`);
  assert.equal((await status()).size, 2);
});
