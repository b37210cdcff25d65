// Each send reads back some of every volume, changed or not: what the backup disk lost is found while the volume still
// has it (A13, I9).

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { listDocument, sendDocument, statusDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;

test('A13 I9 a chunk of a volume that does not change any more is missed within a few sends, and sent anew', async (t) => {
  const random = new Random('read back');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('still.img', random.bytes(40 * CHUNK));
  lab.write('busy.img', random.bytes(CHUNK));
  await lab.init('--chunk-size', '64K', '--encryption', 'off');
  await lab.send('--full');
  const volumes = join(lab.root, 'laptop/volumes');
  const still = readdirSync(volumes).find((id) => readFileSync(join(volumes, id, 'name'), 'utf8').includes('still'))!;
  const session = [...lab.kept.get('still.img')!.keys()][0]!;
  // The last that has its turn: the first send read some already.
  rmSync(join(volumes, still, session, '0000000000', (39 * CHUNK).toString(16).padStart(16, '0')));
  const proven = async () => {
    const { sample, whole } = (await lab.list()).volumes.find(({ name }) => name === 'still.img')!.proven;
    assert.equal(whole, null);
    return sample!;
  };
  let before = await proven();
  let sends = 0;
  for (let missed = false; !missed; sends++) {
    assert.ok(sends < 5, 'it was missed');
    writeAt(lab.path('busy.img'), 0, random.bytes(10));
    const ran = await lab.run(['--json', 'send']);
    const sent = ran.json(sendDocument);
    assert.equal(only(sent.volumes, 'busy.img').error, undefined);
    const volume = only(sent.volumes, 'still.img');
    assert.equal(volume.kind, 'unchanged');
    missed = volume.error !== undefined;
    ran.expect(missed ? 4 : 0);
    const after = await proven();
    if (missed) {
      assert.match(
        volume.error!.message,
        new RegExp(`still\\.img.*${session}.*${39 * CHUNK}.*missing|${session}.*still`),
      );
      assert.match(volume.error!.hint!, /sparsebak verify still\.img/);
      assert.deepEqual(after, before, 'what is damaged is no proof');
    } else {
      assert.ok(after.time > before.time, 'it is said when it was last proven');
      assert.equal(after.session, session);
      assert.ok(after.chunks > 0 && after.chunks <= 16);
    }
    before = after;
  }
  assert.ok(sends > 0);
  const healed = only((await lab.send()).volumes, 'still.img');
  assert.deepEqual([healed.kind, healed.error], ['incremental', undefined]);
  assert.ok((await lab.restore('still.img')).equals(readFileSync(lab.path('still.img'))));

  // What was proven is the newest session's in both commands.
  (await lab.run(['verify', 'busy.img'])).expect(0);
  writeAt(lab.path('busy.img'), 0, random.bytes(10));
  await lab.send();
  const [shown, status] = [
    (await lab.run(['--json', 'list'])).expect(0).json(listDocument),
    (await lab.run(['--json', 'status'])).expect(0).json(statusDocument),
  ];
  for (const name of ['busy.img', 'still.img']) {
    const of = (document: { volumes: readonly { name: string; proven: unknown }[] }) =>
      document.volumes.find((each) => each.name === name)!.proven;
    assert.deepEqual(of(shown), of(status));
  }
  const word = (text: string) => /busy\.img.*? (all|\d+ chunks), \d{4}-\d\d-\d\d/.exec(text)?.[1];
  const list = (await lab.run(['list', 'busy.img'])).expect(0).stdout.trim().split('\n');
  assert.match(list.at(-2)!, / all, \d/, 'verify proved the session before');
  assert.match(list.at(-1)!, / 1 chunks, \d/);
  assert.equal(word((await lab.run(['status', 'busy.img'])).expect(0).stdout), '1 chunks');
});

test('a send without change asks for little: one page and some chunks of each volume', async (t) => {
  const random = new Random('cheap');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  const count = 20;
  for (let at = 0; at < count; at++) lab.write(`${at}.img`, random.bytes(3 * CHUNK));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  const trace = join(lab.folder, 'trace');
  (await lab.run(['send'], lab.interposed(null, trace))).expect(0);
  const asked = new Map<string, number>();
  for (const line of readFileSync(trace, 'utf8').trim().split('\n')) asked.set(line, (asked.get(line) ?? 0) + 1);
  const requests = [...asked].filter(([line]) => line.startsWith('agent '));
  assert.equal(asked.get('agent get-volumes'), 1);
  assert.ok(asked.get('agent get-chunks')! <= count);
  assert.equal(asked.get('agent begin'), undefined);
  const total = requests.reduce((sum, [, times]) => sum + times, 0);
  assert.ok(total <= 6 * count + 10, `${total} requests: ${JSON.stringify(Object.fromEntries(requests))}`);
});
