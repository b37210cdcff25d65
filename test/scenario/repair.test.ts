// Damage on the backup disk, found by the receiver's scrub, is made good by the next send, where the volume still has the content.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { writeAt } from './edits.ts';
import { ground } from './ground.ts';
import { Lab, only } from './lab.ts';
import { RECEIVER } from './program.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;
const RANGE = 1024 * CHUNK;

function receiver(lab: Lab, command: string): number | null {
  return spawnSync(process.execPath, [RECEIVER, command, '--root', lab.root], { stdio: 'ignore' }).status;
}

/** The files of the volume's only session. */
function stored(lab: Lab, pattern: RegExp): string[] {
  const volumes = join(lab.root, 'laptop/volumes');
  return readdirSync(volumes, { recursive: true, encoding: 'utf8' })
    .filter((path) => pattern.test(path))
    .sort()
    .map((path) => join(volumes, path));
}

function rot(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

async function sent(t: TestContext, random: Random): Promise<Lab> {
  const lab = new Lab(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', Buffer.concat([random.bytes(20 * CHUNK), Buffer.alloc(RANGE), random.bytes(3 * CHUNK + 100)]));
  await lab.init('--chunk-size', '64K');
  lab.keep(await lab.send('--full'));
  return lab;
}

test('A13 I9 rotten and lost chunks and pages are made again from the volume, by a plain send', async (t) => {
  const random = new Random('repair');
  const lab = await sent(t, random);
  const chunks = stored(lab, /\/[0-9a-f]{16}$/);
  const pages = stored(lab, /page$/);
  assert.deepEqual([chunks.length, pages.length], [24, 2]);
  rot(chunks[3]!);
  rmSync(chunks[7]!);
  rot(chunks[23]!);
  rot(pages[0]!);
  rmSync(pages[1]!);
  assert.equal(receiver(lab, 'scrub'), 4);
  const { volumes } = await lab.send();
  assert.deepEqual(only(volumes, 'a.img').damage, { mended: 5, lost: 0 });
  assert.equal(only(volumes, 'a.img').kind, 'unchanged');
  assert.equal(receiver(lab, 'check'), 0);
  await lab.compareAll();
  assert.equal(only((await lab.send()).volumes, 'a.img').damage, undefined);
});

test('A13 what the volume has no more is said to be lost; the new session is whole', async (t) => {
  const random = new Random('lost');
  const lab = await sent(t, random);
  const chunks = stored(lab, /\/[0-9a-f]{16}$/);
  rot(chunks[2]!);
  rot(chunks[5]!);
  rmSync(stored(lab, /page$/)[1]!);
  assert.equal(receiver(lab, 'scrub'), 4);
  writeAt(lab.path('a.img'), 2 * CHUNK + 5, random.bytes(10));
  writeAt(lab.path('a.img'), RANGE + 21 * CHUNK, random.bytes(10));
  const report = await lab.send();
  const volume = only(report.volumes, 'a.img');
  assert.deepEqual([volume.kind, volume.damage], ['incremental', { mended: 1, lost: 2 }]);
  assert.ok((await lab.restore('a.img', report.session!)).equals(readFileSync(lab.path('a.img'))));
  const older = await lab.run(['restore', 'a.img', '--session', [...lab.kept.get('a.img')!.keys()][0]!, '--to', 'x']);
  older.expect(4);
});
