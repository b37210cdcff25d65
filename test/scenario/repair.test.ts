// Damage on the backup disk, found by the receiver's scrub, is made good by the next send, where the volume still has
// the content.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { listDocument, sendDocument, verifyDocument } from './documents.ts';
import { BackupSystem, only } from './backup-system.ts';
import { RECEIVER } from './program.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;
const RANGE = 1024 * CHUNK;

function receiver(lab: BackupSystem, command: string, ...options: string[]): number | null {
  return spawnSync(process.execPath, [RECEIVER, command, '--root', lab.root, ...options], { stdio: 'ignore' }).status;
}

/** The files of the volume's only session. */
function stored(lab: BackupSystem, pattern: RegExp): string[] {
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

async function sent(t: TestContext, random: Random): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
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
  assert.deepEqual(only(volumes, 'a.img').damage, { repaired: 5, lost: 0 });
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
  const report = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  const volume = only(report.volumes, 'a.img');
  assert.deepEqual([volume.kind, volume.damage], ['incremental', { repaired: 1, lost: 2 }]);
  assert.ok((await lab.restore('a.img', report.session!)).equals(readFileSync(lab.path('a.img'))));
  const older = await lab.run(['restore', 'a.img', '--session', [...lab.kept.get('a.img')!.keys()][0]!, '--to', 'x']);
  older.expect(4);
});

test('A13 a lost or damaged index is made again from the pages; the next send does without it', async (t) => {
  const random = new Random('index');
  const lab = await sent(t, random);
  const [index] = stored(lab, /\/index$/);
  for (const harm of [rot, rmSync]) {
    harm(index!);
    await lab.compareAll();
    assert.match((await lab.run(['verify'])).expect(4).stdout, /index/);
  }
  // Nothing changed, but the volume is to have a sound newest session.
  const healed = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  lab.keep(healed);
  assert.deepEqual(
    healed.volumes.map(({ kind, chunks, error }) => [kind, chunks, error?.code]),
    [['incremental', 0, 'integrity']],
  );
  await lab.compareAll();
  (await lab.run(['verify'])).expect(0);
  writeAt(lab.path('a.img'), 5, random.bytes(10));
  await lab.send();
  await lab.compareAll();
});

test('A13 a lost index is made again where a range became zeros, whose page is that of an older session', async (t) => {
  const random = new Random('zero range');
  const lab = await sent(t, random);
  const edits = [
    // All that the second range holds, and then something in the first.
    () => writeAt(lab.path('a.img'), RANGE + 20 * CHUNK, Buffer.alloc(4 * CHUNK)),
    () => writeAt(lab.path('a.img'), 5, random.bytes(10)),
  ];
  for (const edit of edits) {
    edit();
    truncateSync(lab.path('a.img'), RANGE + 23 * CHUNK + 100);
    await lab.send();
  }
  for (const index of stored(lab, /\/index$/)) rmSync(index);
  await lab.compareAll();
  // The older session's page is not needed for it, and may go to another session.
  rot(stored(lab, /page$/).find((path) => path.includes(`/${RANGE.toString(16).padStart(16, '0').slice(0, 10)}/`))!);
  const [first, ...others] = [...lab.kept.get('a.img')!.keys()];
  lab.pruned('a.img', [first!]);
  for (const session of others) {
    assert.ok(
      (await lab.restore('a.img', session)).equals(readFileSync(lab.kept.get('a.img')!.get(session)!)),
      session,
    );
  }
  (await lab.run(['prune', 'a.img', '--session', first!])).expect(0);
  await lab.compareAll();
});

test('A13 what a send finds to be lost of its base it sends anew: a page, or all of it', async (t) => {
  const random = new Random('base');
  const lab = await sent(t, random);
  const losses: [chunks: number, harm: () => void][] = [
    [
      // The second range.
      4,
      () => {
        rmSync(stored(lab, /page$/)[1]!);
      },
    ],
    [
      24,
      () => {
        for (const path of stored(lab, /\/index$/)) rmSync(path);
        rot(stored(lab, /page$/)[0]!);
      },
    ],
  ];
  for (const [chunks, harm] of losses) {
    harm();
    writeAt(lab.path('a.img'), RANGE + 22 * CHUNK, random.bytes(10));
    const report = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
    const volume = only(report.volumes, 'a.img');
    assert.deepEqual([volume.kind, volume.error?.code], ['incremental', 'integrity']);
    assert.equal(volume.chunks, chunks);
    assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
    assert.equal(only((await lab.send()).volumes, 'a.img').kind, 'unchanged');
  }
});

test('A13 what the backup disk cannot read is lost, and does not hide what else is', async (t) => {
  const lab = await sent(t, new Random('unreadable'));
  const chunks = stored(lab, /\/[0-9a-f]{16}$/);
  // Reading a folder fails as a bad sector does, with an error of its own.
  rmSync(chunks[1]!);
  mkdirSync(chunks[1]!);
  rot(chunks[22]!);
  const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
  assert.deepEqual(
    verified.sessions[0]?.bad.map(({ address }) => address),
    [CHUNK, RANGE + 22 * CHUNK],
  );
  for (const path of stored(lab, /\/(index|page)$/)) {
    rmSync(path);
    mkdirSync(path);
  }
  writeAt(lab.path('a.img'), 0, Buffer.from('x'));
  const report = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  assert.equal(only(report.volumes, 'a.img').chunks, 24);
  assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
});

test('A13 a lost head: the session is lost, and no other; the newest one’s is said how to go on without', async (t) => {
  const random = new Random('head');
  const lab = await sent(t, random);
  for (let at = 0; at < 2; at++) {
    writeAt(lab.path('a.img'), at * CHUNK, random.bytes(10));
    await lab.send();
  }
  const [first, second, third] = [...lab.kept.get('a.img')!.keys()];
  const folder = dirname(stored(lab, /\/head$/)[0]!);
  rmSync(join(folder, '..', second!, 'head'));
  const listed = async () => {
    const { volumes } = (await lab.run(['--json', 'list'])).expect(4).json(listDocument);
    return volumes[0]?.sessions.map(({ session }) => session);
  };
  assert.deepEqual(await listed(), [first, third]);
  // One that is there and damaged hides no more than one that is lost.
  rot(join(folder, '..', first!, 'head'));
  rmSync(join(lab.stateDir, 'archives/laptop/heads'), { force: true });
  assert.deepEqual(await listed(), [third]);
  rot(join(folder, '..', first!, 'head'));
  const verified = (await lab.run(['--json', 'verify', '--all-sessions'])).expect(4).json(verifyDocument);
  assert.deepEqual(
    verified.sessions.map(({ session, error }) => [session, error?.code]),
    [
      [first, undefined],
      [second, 'integrity'],
      [third, undefined],
    ],
  );
  (await lab.run(['prune', 'a.img', '--session', second!])).expect(0);
  lab.kept.get('a.img')!.delete(second!);
  await lab.compareAll();
  (await lab.run(['verify', '--all-sessions'])).expect(0);

  // Whatever the policy says: it is all that can be restored.
  rot(join(folder, '..', third!, 'head'));
  assert.deepEqual(await listed(), [first]);
  for (const command of [['list'], ['adopt', '--yes']]) {
    assert.match((await lab.run(command)).expect(4).stderr, /move that session's folder out/);
  }
  assert.match((await lab.run(['prune', '--keep-last', '1', '--yes'])).expect(4).stderr, /move that session's folder/);
  rmSync(join(folder, '..', third!, 'head'));
  (await lab.run(['prune', 'a.img', '--session', first!])).expect(4);
  assert.equal(receiver(lab, 'prune', '--keep-last', '1'), 3);
  writeAt(lab.path('a.img'), 5 * CHUNK, random.bytes(10));
  assert.match((await lab.run(['send'])).expect(4).stdout, /move that session's folder out/);
  renameSync(join(folder, '..', third!), join(lab.folder, 'away'));
  lab.kept.get('a.img')!.delete(third!);
  await lab.send('--accept-rollback');
  await lab.compareAll();
});

test('A13 a page that goes after the scrub that found its chunks damaged', async (t) => {
  const lab = await sent(t, new Random('later'));
  rot(stored(lab, /\/[0-9a-f]{16}$/)[2]!);
  assert.equal(receiver(lab, 'scrub'), 4);
  rmSync(stored(lab, /page$/)[0]!);
  const { volumes } = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  assert.deepEqual([only(volumes, 'a.img').kind, only(volumes, 'a.img').chunks], ['incremental', 20]);
  assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
});

test('A13 what verify finds and no scrub can, the next send sends anew', async (t) => {
  const lab = await sent(t, new Random('unknown'));
  // The checksums went with the chunks: nothing tells the receiver that there ever were any.
  const folder = dirname(stored(lab, /page$/)[1]!);
  const page = readFileSync(join(folder, 'page'));
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'page'), page);
  writeFileSync(join(folder, 'sha256'), `${hash('sha256', page, 'hex')}  page\n`);
  assert.equal(receiver(lab, 'scrub'), 0);
  const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
  assert.equal(verified.sessions[0]?.badChunks, 4);
  const { volumes } = await lab.send();
  assert.deepEqual([only(volumes, 'a.img').kind, only(volumes, 'a.img').chunks], ['incremental', 4]);
  assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
  (await lab.run(['verify'])).expect(0);
  assert.equal(only((await lab.send()).volumes, 'a.img').kind, 'unchanged');
});

test('A13 what verify found, and is whole again by the next send, is not sent anew', async (t) => {
  const lab = await sent(t, new Random('away'));
  const volumes = join(lab.root, 'laptop/volumes');
  const [chunk] = stored(lab, /\/[0-9a-f]{16}$/);
  renameSync(chunk!, join(volumes, '../away'));
  (await lab.run(['verify'])).expect(4);
  renameSync(join(volumes, '../away'), chunk!);
  assert.equal(only((await lab.send()).volumes, 'a.img').kind, 'unchanged');
  // Once is enough to forget it.
  assert.doesNotMatch(readFileSync(join(lab.stateDir, 'archives/laptop/damage.json'), 'utf8'), /ranges/);
});
