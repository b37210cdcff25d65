import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import {
  LAPTOP,
  VOLUME,
  beginSession,
  bytes,
  commitSession,
  impatient,
  newArchive,
  pairingId,
  refusedAs,
  sessionName,
  stored,
  textOf,
  visible,
  planOf,
} from './small-volumes.ts';
import { limit } from '../../fixtures/limits.ts';

const FIRST = planOf(1, 3000, [
  { chunk: 0, data: 'zero' },
  { chunk: 5, data: 'five' },
  { page: 0, data: 'page 0' },
  { chunk: 2500, data: 'far' },
]);

async function archiveWithOneSession(t: TestContext) {
  const root = scratchFor(t);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive(), impatient);
  const archive = await store.open(LAPTOP, impatient);
  await commitSession(archive, FIRST);
  await archive.close();
  const volume = join(root, 'laptop/volumes', VOLUME);
  return { root, store, volume, session: join(volume, sessionName(1)), open: () => store.open(LAPTOP, impatient) };
}

test('S12: names that are not ours are left alone and change nothing', async (t) => {
  const { root, store, volume, session, open } = await archiveWithOneSession(t);
  const range = join(session, '0000000000');
  mkdirSync(join(root, 'lost+found'));
  mkdirSync(join(root, 'photos'));
  writeFileSync(join(root, 'notes.txt'), 'x');
  writeFileSync(join(root, 'laptop/volumes/README'), 'x');
  mkdirSync(join(root, 'laptop/volumes', 'ee'.repeat(16)));
  for (const name of ['.DS_Store', 'S_2026', '.tmp-xyz', 'S_20261123-000009~']) writeFileSync(join(volume, name), 'x');
  symlinkSync('/etc', join(volume, `.tmp-${pairingId(3)}`));
  for (const name of ['note', '00000000000c0000.gz', '0000000000050000x', '000000000005000', '0000000000000001']) {
    writeFileSync(join(range, name), 'x');
  }
  mkdirSync(join(session, 'zzzzzzzzzz'));
  execFileSync('mkfifo', [join(range, 'fifo')]);
  assert.deepEqual(store.archives(), [LAPTOP]);
  const archive = await open();
  assert.deepEqual(visible(archive), [sessionName(1)]);
  assert.equal(await stored(archive, 1, 5), 'five');
  const before = readdirSync('/etc').length;
  assert.equal((await archive.resolve(VOLUME, pairingId(3), true)).checkpoint, undefined);
  await commitSession(archive, planOf(2, 3000, [{ zeros: 0, count: 3000 }]));
  assert.equal(readdirSync('/etc').length, before);
  assert.equal(await stored(archive, 2, 5), '');
  assert.equal([...archive.volumes()][0]?.sessions[1]?.files, 3);
  await archive.close();
});

test(
  'S12: a link, a FIFO or a folder in the place of a file is an error, and is not followed',
  { timeout: limit(20_000) },
  async (t) => {
    const { root, session, open } = await archiveWithOneSession(t);
    const secret = join(root, 'secret');
    writeFileSync(secret, 'secret');
    const chunk = join(session, '0000000000', '0000000000050000');
    const page = join(session, '0000000000', 'page');
    const index = join(session, 'index');
    const head = join(session, 'head');
    const impostors: Record<string, (path: string) => void> = {
      'a link': (path) => symlinkSync(secret, path),
      'a link to nothing': (path) => symlinkSync(join(root, 'nowhere'), path),
      'a FIFO': (path) => execFileSync('mkfifo', [path]),
      'a folder': (path) => mkdirSync(path),
    };
    for (const [what, make] of Object.entries(impostors)) {
      for (const path of [chunk, page, index, head]) {
        renameSync(path, `${path}.aside`);
        make(path);
      }
      const archive = await open();
      await assert.rejects(stored(archive, 1, 5), refusedAs('io'), what);
      const session1 = sessionName(1);
      await assert.rejects(async () => textOf(await archive.page(VOLUME, session1, 0)), refusedAs('io'), what);
      await assert.rejects(async () => textOf(await archive.index(VOLUME, session1)), refusedAs('io'), what);
      assert.throws(() => visible(archive), refusedAs('io'), what);
      // Others are still to be had.
      assert.equal(await stored(archive, 1, 0), 'zero');
      const damaged: string[] = [];
      await archive.check(VOLUME, { damage: ({ place }) => damaged.push(place), file: () => undefined });
      assert.ok(damaged.length >= 3, damaged.join(' '));
      await archive.close();
      for (const path of [chunk, page, index, head]) {
        rmSync(path, { recursive: true });
        renameSync(`${path}.aside`, path);
      }
    }
  },
);

test('S12: a link in the place of a range, a session, a volume or the archive is not followed', async (t) => {
  const { root, volume, session, open, store } = await archiveWithOneSession(t);
  const swap = async (path: string, use: () => Promise<void>) => {
    const elsewhere = join(root, 'elsewhere');
    renameSync(path, elsewhere);
    symlinkSync(elsewhere, path);
    await use();
    rmSync(path);
    renameSync(elsewhere, path);
  };
  await swap(join(session, '0000000000'), async () => {
    const archive = await open();
    await assert.rejects(stored(archive, 1, 5), refusedAs('io'));
    await archive.close();
  });
  await swap(session, async () => {
    const archive = await open();
    assert.throws(() => visible(archive), refusedAs('io'));
    await assert.rejects(beginSession(archive, { ...FIRST, session: 2 }), refusedAs('io'));
    await archive.close();
  });
  await swap(volume, async () => {
    const archive = await open();
    assert.throws(() => visible(archive), refusedAs('io'));
    await assert.rejects(archive.resolve(VOLUME, pairingId(2), false), refusedAs('io'));
    await archive.close();
  });
  await swap(join(root, 'laptop'), async () => {
    await assert.rejects(open(), refusedAs('not-found'));
    await assert.rejects(store.create(newArchive(), impatient), refusedAs('exists'));
  });
});

test('S12: a session’s name on something that is no folder stops the volume, and nothing else', async (t) => {
  const { volume, open } = await archiveWithOneSession(t);
  writeFileSync(join(volume, sessionName(9)), 'x');
  const archive = await open();
  await assert.rejects(beginSession(archive, { ...FIRST, base: 1, session: 10 }), refusedAs('io'));
  rmSync(join(volume, sessionName(9)));
  await commitSession(archive, { ...FIRST, base: 1, session: 10 });
  await archive.close();
});

test('S13: a name below one that was pruned is refused', async (t) => {
  const { volume, open } = await archiveWithOneSession(t);
  writeFileSync(join(volume, 'newest'), `${sessionName(7)}\n`);
  const archive = await open();
  await assert.rejects(beginSession(archive, { ...FIRST, base: 1, session: 7 }), refusedAs('bad-request'));
  await commitSession(archive, { ...FIRST, base: 1, session: 8 });
  writeFileSync(join(volume, 'newest'), 'garbage\n');
  await assert.rejects(beginSession(archive, { ...FIRST, base: 8, session: 8 }), refusedAs('bad-request'));
  await commitSession(archive, { ...FIRST, base: 8, session: 9 });
  await archive.close();
});

test('a session that is being pruned is hidden, and still part of the volume', async (t) => {
  const { session, open } = await archiveWithOneSession(t);
  const archive = await open();
  await commitSession(archive, planOf(2, 3000, [{ chunk: 5, data: 'new' }]));
  await archive.close();
  renameSync(session, `${session}.pruning`);
  const later = await open();
  assert.deepEqual(visible(later), [sessionName(2)]);
  assert.equal(await stored(later, 2, 0), 'zero');
  assert.equal(await stored(later, 2, 5), 'new');
  assert.equal(textOf(await later.page(VOLUME, sessionName(2), 0)), 'page 0');
  await assert.rejects(stored(later, 1, 0), refusedAs('not-found'));
  assert.equal(await later.index(VOLUME, sessionName(1)), undefined);
  await commitSession(later, planOf(3, 3000, [{ zeros: 0, count: 3000 }]));
  assert.equal(await stored(later, 3, 0), '');
  await later.close();
});

test('what a killed creation left is removed by the next one', async (t) => {
  const root = scratchFor(t);
  const left = join(root, `.tmp-${'aa'.repeat(16)}`);
  mkdirSync(join(left, 'keys'), { recursive: true });
  writeFileSync(join(left, 'keys', 'passphrase'), 'x');
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive(), impatient);
  assert.deepEqual(readdirSync(root), [LAPTOP]);
  mkdirSync(join(root, 'desktop', 'something'), { recursive: true });
  await assert.rejects(store.create(newArchive({ name: 'desktop' as never }), impatient), refusedAs('exists'));
  assert.deepEqual(readdirSync(root).sort(), ['desktop', LAPTOP]);
});

test('the receiver finds what rots: a changed, lost, added or unreadable file', async (t) => {
  const { session, open } = await archiveWithOneSession(t);
  const range = join(session, '0000000000');
  const damages = async () => {
    const archive = await open();
    const found: string[] = [];
    let files = 0;
    await archive.check(VOLUME, {
      damage: ({ place, kind }) => found.push(`${kind} ${place.split('/').slice(3).join('/')}`),
      file: () => (files += 1),
    });
    await archive.close();
    return { found: found.sort(), files };
  };
  assert.deepEqual(await damages(), { found: [], files: 7 });
  writeFileSync(join(range, '0000000000050000'), 'fivE');
  rmSync(join(range, '0000000000000000'));
  writeFileSync(join(range, '0000000000060000'), 'added');
  rmSync(join(session, '0000000008', 'sha256'));
  writeFileSync(join(session, 'size'), '12\n');
  writeFileSync(join(session, 'head'), bytes('head 2'));
  assert.deepEqual((await damages()).found, [
    'corrupt 0000000000/0000000000050000',
    'corrupt head',
    'corrupt size',
    'missing 0000000000/0000000000000000',
    'missing 0000000008/sha256',
    'unlisted 0000000000/0000000000060000',
  ]);
});

test('S10: a send whose folder was replaced, or whose base was pruned, does not commit', async (t) => {
  const { volume, session, open } = await archiveWithOneSession(t);
  const archive = await open();
  const second = planOf(2, 3000);
  const robbed = await beginSession(archive, second);
  const unfinished = join(volume, `.tmp-${pairingId(2)}`);
  renameSync(unfinished, `${unfinished}-aside`);
  mkdirSync(unfinished);
  await assert.rejects(robbed.commit(bytes('h'), []), refusedAs('conflict'));
  await robbed.abandon(true);
  assert.deepEqual(readdirSync(unfinished).sort(), ['head', 'index', 'sha256', 'size', 'stats']);

  const stale = await beginSession(archive, second);
  renameSync(session, `${session}.pruning`);
  await assert.rejects(stale.commit(bytes('h'), []), refusedAs('stale-base'));
  await stale.abandon(false);
  assert.deepEqual(visible(archive), []);
  await archive.close();
});
