// Folders that belong to somebody else, who changes what lies in them while the agent, as root, reads and writes there
// (G6).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { restoreDocument, sendDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import type { Ran } from './program.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;
const THEM = 65_534;
const skip = process.getuid?.() === 0 ? false : 'machine: not root, so there is no folder that others own';

interface Place {
  readonly lab: BackupSystem;
  readonly content: Buffer;
  /** Root's, and nobody else may read it. */
  readonly precious: string;
  /** Belongs to somebody else, and so does the pool. */
  readonly theirs: string;
  readonly pool: string;
}

/** A plain archive of one volume, which can be restored without the key as well. */
async function placeFor(t: TestContext, seed: string): Promise<Place> {
  const pool = plain.folder();
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: pool, volumes: ['v.img'] }] });
  const content = new Random(seed).bytes(40 * CHUNK);
  lab.write('v.img', content);
  await lab.init('--encryption', 'off', '--chunk-size', '64K');
  await lab.send('--full');
  const [precious, theirs] = [join(lab.folder, 'precious'), join(lab.folder, 'theirs')];
  writeFileSync(precious, 'precious', { mode: 0o600 });
  mkdirSync(theirs);
  for (const path of [theirs, pool, join(pool, 'v.img')]) chownSync(path, THEM, THEM);
  for (const path of [theirs, pool, lab.folder, dirname(pool)]) chmodSync(path, 0o755);
  return { lab, content, precious, theirs, pool };
}

/** Runs a restore and changes something when its file was made, but nothing is written yet. */
async function during(lab: BackupSystem, args: readonly string[], change: () => void): Promise<Ran> {
  const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
  const hold = { from: 'agent', what: 'get-chunks', action: 'hold', reached, go } as const;
  const running = lab.start(args, lab.interposed(hold));
  while (!existsSync(reached)) {
    assert.equal(running.child.exitCode, null, 'it ended before it fetched anything');
    await delay(20);
  }
  change();
  writeFileSync(go, '');
  const ran = await running.ended;
  for (const path of [reached, go]) rmSync(path);
  return ran;
}

/** The partial file in a folder. */
function partialIn(folder: string): string {
  const found = readdirSync(folder).filter((name) => name.includes('partial'));
  assert.equal(found.length, 1, found.join());
  return join(folder, found[0]!);
}

describe('a restore into a folder of others', { skip }, () => {
  test('writes to no file that they put in the place of its own, whichever way it was asked for', async (t) => {
    const { lab, precious, theirs, pool } = await placeFor(t, 'swapped');
    const to = join(theirs, 'out.img');
    const ways: Readonly<Record<string, readonly [string, ...string[]]>> = {
      '--to': [theirs, '--to', to],
      '--to --unauthenticated': [theirs, '--to', to, '--unauthenticated'],
      '--as': [pool, '--as', 'new.img'],
      '--replace': [pool, '--replace'],
    };
    for (const [way, [folder, ...options]] of Object.entries(ways)) {
      const ran = await during(lab, ['restore', 'v.img', ...options], () => {
        const partial = partialIn(folder);
        assert.equal(statSync(partial).uid, 0, way);
        assert.equal(statSync(partial).mode & 0o777, 0o600, way);
        renameSync(partial, join(folder, 'taken'));
        symlinkSync(precious, partial);
        lchownSync(partial, THEM, THEM);
      });
      assert.match(ran.expect(1).stderr, /not the file that was restored/, way);
      assert.equal(readFileSync(precious, 'utf8'), 'precious', way);
      assert.equal(statSync(precious).uid, 0, way);
      assert.equal(existsSync(to) || existsSync(join(pool, 'new.img')), false, way);
      for (const name of readdirSync(folder)) if (name !== 'v.img') rmSync(join(folder, name));
    }
  });

  test('stays in that folder when a link takes the name of one on its way', async (t) => {
    const { lab, theirs } = await placeFor(t, 'folder swapped');
    const ours = join(lab.folder, 'ours');
    for (const path of [ours, join(theirs, 'sub')]) mkdirSync(path, { mode: 0o700 });
    chownSync(join(theirs, 'sub'), THEM, THEM);
    const to = join(theirs, 'sub/out.img');
    const ran = await during(lab, ['restore', 'v.img', '--to', to], () => {
      renameSync(join(theirs, 'sub'), join(theirs, 'moved'));
      symlinkSync(ours, join(theirs, 'sub'));
      lchownSync(join(theirs, 'sub'), THEM, THEM);
    });
    assert.match(ran.expect(1).stderr, /leads to another folder/);
    assert.deepEqual(readdirSync(ours), []);
    // It is there now, before the restore begins.
    assert.match((await lab.run(['restore', 'v.img', '--to', to])).expect(1).stderr, /belongs to user 65534/);
    assert.deepEqual(readdirSync(ours), []);
  });

  test('wins or loses against a process of theirs, and harms nothing of root', { timeout: 300_000 }, async (t) => {
    const { lab, content, precious, theirs } = await placeFor(t, 'raced');
    const script = `const { readdirSync, renameSync, symlinkSync } = require('node:fs'); process.chdir(${JSON.stringify(theirs)});
      console.log('ready');
      for (let n = 0;; n++) for (const name of readdirSync('.')) if (name.includes('partial')) try {
        renameSync(name, 'taken' + n); symlinkSync(${JSON.stringify(precious)}, name);
      } catch {}`;
    const racer = spawn(process.execPath, ['-e', script], {
      uid: THEM,
      gid: THEM,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => racer.kill('SIGKILL'));
    await once(racer.stdout, 'data');
    for (let n = 0; n < 3; n++) {
      const to = join(theirs, `out-${String(n)}.img`);
      const ran = await lab.run(['restore', 'v.img', '--to', to]);
      assert.equal(readFileSync(precious, 'utf8'), 'precious');
      if (ran.status === 0) assert.ok(readFileSync(to).equals(content), ran.describe());
      else assert.match(ran.expect(1).stderr, /not the file that was restored|leads to another folder/);
    }
    assert.ok(
      readdirSync(theirs).some((name) => name.startsWith('taken')),
      'they did try',
    );
  });

  test('gives the content to whom it was archived from, and to nobody else', async (t) => {
    const { lab, content, pool } = await placeFor(t, 'ownership');
    const path = join(pool, 'v.img');
    const replace = async (...more: string[]) =>
      (await lab.run(['--json', 'restore', 'v.img', '--replace', ...more])).expect(0).json(restoreDocument);
    const owned = (): string => `${String(statSync(path).uid)} ${(statSync(path).mode & 0o777).toString(8)}`;
    // It was root's when it was archived; they put a file of theirs in its place, which everybody may read.
    const first = (await lab.list()).volumes[0]!.sessions[0]!.session;
    rmSync(path);
    writeFileSync(path, 'theirs');
    chownSync(path, THEM, THEM);
    chmodSync(path, 0o644);
    assert.equal((await replace()).private, true);
    assert.equal(owned(), '0 600');
    assert.ok(readFileSync(path).equals(content));

    chownSync(path, THEM, THEM);
    chmodSync(path, 0o640);
    writeFileSync(path, 'new');
    await lab.send();
    assert.equal((await replace()).private, false);
    assert.equal(owned(), `${String(THEM)} 640`, 'as it was archived');
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.equal((await replace('--session', first)).private, true);
    assert.equal(owned(), '0 600', 'what was archived before was not theirs');
    assert.match((await lab.run(['restore', 'v.img', '--replace'])).expect(0).stdout, /mode 600/);
    assert.equal((await lab.run(['restore', 'v.img', '--as', 'new.img'])).status, 0);
    assert.equal(statSync(join(pool, 'new.img')).mode & 0o777, 0o600);
  });
});

test("a link of theirs to root's file is not archived, and is named", { skip }, async (t) => {
  const pool = plain.folder();
  const options = { name: 'main', type: 'file', path: pool } as const;
  const lab = new BackupSystem(t, { pools: [options] });
  const precious = join(lab.folder, 'precious');
  writeFileSync(precious, 'precious', { mode: 0o600 });
  chownSync(pool, THEM, THEM);
  lab.write('plain.img', Buffer.from('plain'));
  symlinkSync(precious, join(pool, 'link.img'));
  lchownSync(join(pool, 'link.img'), THEM, THEM);
  await lab.init();
  const kinds = { 'link.img': 'skipped', 'plain.img': 'full' };
  const sent = (await lab.run(['--json', 'send', '--full'])).expect(3).json(sendDocument);
  assert.deepEqual(Object.fromEntries(sent.volumes.map(({ name, kind }) => [name, kind])), kinds);
  lab.configure('', undefined, [{ ...options, more: 'follow_symlinks = true' }]);
  assert.match((await lab.run(['send'])).expect(3).stdout, /link\.img .*not followed: .* belongs to user 65534/);
  lchownSync(join(pool, 'link.img'), 0, 0);
  const followed = await lab.ask(sendDocument, ['send', '--full']);
  assert.equal(only(followed.volumes, 'link.img').kind, 'full');
  assert.deepEqual(
    (await lab.list()).volumes.map(({ name }) => name),
    ['link.img', 'plain.img'],
  );
});

test('a recovery key is written to no file that others put there', { skip }, async (t) => {
  const pool = plain.folder();
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: pool }] });
  const [ours, theirs] = [join(lab.folder, 'ours'), join(lab.folder, 'theirs')];
  for (const path of [ours, theirs]) mkdirSync(path);
  chownSync(theirs, THEM, THEM);
  symlinkSync(join(ours, 'made'), join(theirs, 'key'));
  symlinkSync(ours, join(theirs, 'folder'));
  for (const link of ['key', 'folder']) lchownSync(join(theirs, link), THEM, THEM);
  const init = async (path: string) => await lab.run(['init', '--recovery-key-file', join(theirs, path)]);
  assert.match((await init('key')).expect(2).stderr, /exists already/);
  assert.match((await init('folder/key')).expect(2).stderr, /belongs to user 65534/);
  assert.deepEqual(readdirSync(ours), []);
  (await init('new')).expect(0);
  assert.equal(statSync(join(theirs, 'new')).mode & 0o777, 0o600);
});
