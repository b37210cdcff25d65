// What a listing remembers is only ever shown: what is damaged on the disk is found by what reads it, and the newest
// session of each volume by the listing, too (A1).

import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');

test('A1 a damaged head: the newest is missed by list, an older one by verify; lost memory is made anew', async (t) => {
  const random = new Random('known heads');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  await lab.init('--chunk-size', '64K');
  for (let turn = 0; turn < 2; turn++) {
    lab.write('a.img', random.bytes(100_000));
    await lab.send('--full');
  }
  const first = await lab.list();
  const memory = join(lab.stateDir, 'archives/laptop/heads');
  const kept = readFileSync(memory, 'utf8');
  assert.deepEqual(await lab.list(), first, 'the same from memory');
  writeFileSync(memory, kept.replace('stopped', 'running'));
  assert.deepEqual(await lab.list(), first, 'a damaged memory is not believed');
  assert.equal(readFileSync(memory, 'utf8'), kept, 'and is made anew');
  const [older, newest] = globSync(join(lab.root, 'laptop/volumes/*/S_*/head')).sort();
  const flip = (path: string) => {
    const bytes = readFileSync(path);
    bytes[40]! ^= 1;
    writeFileSync(path, bytes);
  };
  flip(older!);
  assert.deepEqual(await lab.list(), first);
  (await lab.run(['verify', '--all-sessions'])).expect(4);
  flip(newest!);
  (await lab.run(['list'])).expect(4);
});
