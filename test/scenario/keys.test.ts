// Who can open an archive, and a second dom0 that reads it.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as z from '../../shared/zod.ts';
import { Random } from '../fixtures/random.ts';
import {
  initDocument,
  listDocument,
  sendDocument,
  slotsDocument,
  statusDocument,
  unlockDocument,
  verifyDocument,
} from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');
const changed = z.looseObject({ slot: z.string(), recoveryKey: z.optional(z.string()) });

async function slots(lab: BackupSystem): Promise<Record<string, string>> {
  const { slots: all } = await lab.ask(slotsDocument, ['key', 'list']);
  return Object.fromEntries(all.map(({ name, kind }) => [name, kind]));
}

/** Another dom0, with a configuration of its own and the same archive. */
function secondDom0(t: TestContext, lab: BackupSystem): BackupSystem {
  return new BackupSystem(t, { pools: lab.pools, root: lab.root });
}

test('keys are added, changed and removed; the last one stays; each opens the archive on another dom0', async (t) => {
  const random = new Random('keys');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', random.bytes(300_000));
  const secret = (name: string, text: string) => {
    const file = join(lab.folder, name);
    writeFileSync(file, text);
    return file;
  };
  const first = secret('first', 'first passphrase\n');
  const { recoveryKey } = await lab.ask(initDocument, ['init', '--passphrase-file', first, '--chunk-size', '64K']);
  lab.keep(await lab.send('--full'));
  assert.deepEqual(await slots(lab), { passphrase: 'passphrase', recovery: 'recovery key' });

  const opens = async (...how: string[]) => (await secondDom0(t, lab).run(['key', 'unlock', ...how])).status === 0;
  assert.ok(
    await opens('--recovery-key-file', secret('paper', `${recoveryKey!.toLowerCase().replaceAll('-', ' ')}\n`)),
  );
  const damaged = recoveryKey!.replace(/^./, (digit) => (digit === '7' ? '8' : '7'));
  assert.ok(!(await opens('--recovery-key-file', secret('misread', damaged))));

  await lab.ask(changed, ['key', 'add', '--passphrase-file', secret('second', 'zweite Passphrase ß')]);
  await lab.ask(changed, ['key', 'add', 'office', '--passphrase-command', "printf 'third\\n'"]);
  const added = await lab.ask(changed, ['key', 'add', '--recovery']);
  assert.deepEqual(await slots(lab), {
    office: 'passphrase',
    passphrase: 'passphrase',
    'passphrase-2': 'passphrase',
    recovery: 'recovery key',
    'recovery-2': 'recovery key',
  });
  (await lab.run(['key', 'add', 'office', '--passphrase-file', first])).expect(2);
  (await lab.run(['key', 'add', 'Büro', '--passphrase-file', first])).expect(2);
  (await lab.run(['key', 'add', 'desk'])).expect(2);
  (await lab.run(['key', 'change', 'none', '--passphrase-file', first])).expect(2);
  (await lab.run(['key', 'remove', 'none', '--yes'])).expect(2);

  await lab.ask(changed, ['key', 'change', 'passphrase', '--passphrase-file', secret('new', 'a new one')]);
  assert.ok(await opens('--passphrase-file', join(lab.folder, 'new')));
  assert.ok(await opens('--passphrase-file', secret('third', 'third')));
  // Of three passphrase slots two are tried unasked.
  const third = ['--passphrase-file', join(lab.folder, 'second')];
  const unasked = await secondDom0(t, lab).run(['key', 'unlock', ...third]);
  assert.match(unasked.expect(2).stderr, /opens neither "office" nor "passphrase"[^]*--slot: passphrase-2/);
  assert.ok(await opens(...third, '--slot', 'passphrase-2'));
  assert.ok(!(await opens(...third, '--slot', 'office')));
  assert.ok(await opens('--recovery-key-file', secret('added', added.recoveryKey!)));
  const old = await secondDom0(t, lab).run(['key', 'unlock', '--passphrase-file', first, '--slot', 'passphrase']);
  assert.match(old.expect(1).stderr, /wrong passphrase/);
  const renewed = await lab.ask(changed, ['key', 'change', 'recovery']);
  assert.ok(!(await opens('--recovery-key-file', join(lab.folder, 'paper'))));
  assert.ok(await opens('--recovery-key-file', secret('renewed', renewed.recoveryKey!)));

  assert.match((await lab.run(['key', 'remove', 'office'])).expect(2).stderr, /Remove slot office\?[^]*--yes/);
  assert.ok('office' in (await slots(lab)));
  for (const name of ['recovery', 'recovery-2', 'passphrase-2', 'office'])
    await lab.ask(changed, ['key', 'remove', name, '--yes']);
  assert.match((await lab.run(['key', 'remove', 'passphrase', '--yes'])).expect(2).stderr, /last slot/);
  assert.deepEqual(await slots(lab), { passphrase: 'passphrase' });
});

test('a second dom0 reads, follows what the first writes, and may not send', async (t) => {
  const random = new Random('second dom0');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', random.bytes(300_000));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  const reader = secondDom0(t, lab);
  const passphrase = join(reader.folder, 'passphrase');
  const unlocked = await reader.ask(unlockDocument, ['key', 'unlock', '--passphrase-file', passphrase]);
  assert.match(
    (await reader.run(['key', 'unlock', '--passphrase-file', passphrase])).expect(1).stderr,
    /already knows archive/,
  );
  assert.ok((await reader.restore('a.img')).equals(readFileSync(lab.path('a.img'))));

  const refused = (await reader.run(['send', '--full', '--json'])).expect(5);
  assert.match(refused.stderr, /another dom0 writes to this archive/);
  (await reader.run(['monitor'])).expect(0);

  writeAt(lab.path('a.img'), 1000, random.bytes(500));
  const sent = await lab.ask(sendDocument, ['send']);
  lab.keep(sent);
  assert.ok((await reader.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
  const { volumes } = await reader.ask(listDocument, ['list']);
  // Each of them knows what it has proven itself.
  const shown = (each: typeof volumes) => each.map(({ proven: _, ...rest }) => rest);
  assert.deepEqual(shown(volumes), shown((await lab.list()).volumes));
  await reader.ask(verifyDocument, ['verify', '--all-sessions']);
  const third = secondDom0(t, lab);
  const later = await third.ask(unlockDocument, ['key', 'unlock', '--passphrase-file', passphrase]);
  // The line is shown by the writer, with a receiver and without one.
  const { line } = await lab.ask(slotsDocument, ['key', 'list']);
  const { id, sequence, hash } = await lab.ask(statusDocument, ['status']);
  assert.deepEqual(line, { id, sequence, hash });
  assert.deepEqual(later, { archive: lab.archive, ...line });
  assert.match((await lab.run(['key', 'list'])).stdout, new RegExp(`${id}  ${sequence}  ${hash}`));
  assert.ok(later.sequence > unlocked.sequence && later.id === unlocked.id && later.hash !== unlocked.hash);
  assert.equal((await lab.send()).session, null, 'the writer goes on undisturbed');
  await lab.compareAll();
});

test('several archives of one dom0 have their own keys, sessions and pairings', async (t) => {
  const random = new Random('two archives');
  const lab = new BackupSystem(t, {
    pools: [{ name: 'main', type: 'file', path: plain.folder() }],
    more: '',
  });
  lab.configure(`[archives.weekly]\ndestination = ${JSON.stringify(lab.destination)}\n`);
  lab.write('a.img', random.bytes(200_000));
  await lab.init('--chunk-size', '64K');
  const passphrase = join(lab.folder, 'passphrase');
  await lab.ask(initDocument, ['--archive', 'weekly', 'init', '--encryption', 'off', '--passphrase-file', passphrase]);
  await lab.send('--full');
  await lab.ask(sendDocument, ['send', '--full', '--archive', 'weekly']);
  writeAt(lab.path('a.img'), 0, random.bytes(10));
  await lab.send();
  const weekly = await lab.ask(listDocument, ['list', '--archive=weekly']);
  assert.deepEqual([weekly.volumes[0]?.sessions.length, (await lab.list()).volumes[0]?.sessions.length], [1, 2]);
  const to = join(lab.folder, 'x');
  (await lab.run(['restore', 'a.img', '--to', to, '--archive', 'weekly'])).expect(0);
  assert.ok(!readFileSync(to).equals(readFileSync(lab.path('a.img'))));
  await lab.compareAll();
});
