import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore } from '../../../vm-receiver/store/store.ts';
import { loopFsSkip, withLoopFs, type LoopFsOptions } from '../../fixtures/loop-fs.ts';
import {
  CHUNK,
  LAPTOP,
  beginSession,
  bytes,
  commitSession,
  impatient,
  newArchive,
  refusedAs,
  sessionName,
  stored,
  visible,
  planOf,
} from './small-volumes.ts';

const MIB = 2 ** 20;
const skip = loopFsSkip('ext4');
const SMALL: LoopFsOptions = { type: 'ext4', size: 16 * MIB };

const FIRST = planOf(1, 3000, [{ chunk: 5, data: 'five' }]);

function storeAt(root: string, floors = { freeBytes: 0, freeInodes: 0 }, requireMount = true): FilesStore {
  return new FilesStore(systemDisk, { root, requireMount, floors });
}

async function openAt(root: string, floors?: { freeBytes: number; freeInodes: number }): Promise<ArchiveStore> {
  const store = storeAt(root, floors);
  if (!store.archives().includes(LAPTOP)) await store.create(newArchive(), impatient);
  return await store.open(LAPTOP, impatient);
}

/** Sends chunks until the disk refuses one; gives how many went. */
async function fill(archive: ArchiveStore, session: number, size: number): Promise<number> {
  const send = await beginSession(archive, { ...FIRST, base: session - 1, session });
  let count = 0;
  assert.throws(() => {
    for (; count < 3000; count++) send.chunk(count * CHUNK, Buffer.alloc(size, count));
  }, refusedAs('no-space'));
  await send.abandon(true);
  return count;
}

test('S1: a disk that is really full fails the send and keeps what was there', { skip }, () =>
  withLoopFs(SMALL, async (root) => {
    const archive = await openAt(root);
    await commitSession(archive, FIRST);
    const first = await fill(archive, 2, 30_000);
    assert.ok(first > 100, String(first));
    assert.deepEqual(visible(archive), [sessionName(1)]);
    assert.equal(await stored(archive, 1, 5), 'five');
    // What the send had taken is free again, so as much goes once more; and then something that fits.
    assert.ok((await fill(archive, 2, 30_000)) > first * 0.9);
    await commitSession(archive, { ...FIRST, base: 1, session: 2 });
    assert.equal(await stored(archive, 2, 5), 'five');
    await archive.close();
  }),
);

test('S7: a disk without inodes fails the send and keeps what was there', { skip }, () =>
  withLoopFs({ ...SMALL, mkfsArgs: ['-N', '256'] }, async (root) => {
    const archive = await openAt(root);
    await commitSession(archive, FIRST);
    assert.ok((await fill(archive, 2, 10)) < 256);
    await commitSession(archive, { ...FIRST, base: 1, session: 2 });
    assert.deepEqual(visible(archive), [sessionName(1), sessionName(2)]);
    await archive.close();
  }),
);

test('nothing is taken below the floors of free bytes and inodes', { skip }, () =>
  withLoopFs({ ...SMALL, size: 128 * MIB }, async (root) => {
    const archive = await openAt(root, { freeBytes: 50 * MIB, freeInodes: 0 });
    await commitSession(archive, FIRST);
    await fill(archive, 2, 60_000);
    await archive.close();
    const { freeBytes, freeInodes = 0 } = systemDisk.space(root);
    assert.ok(freeBytes > 40 * MIB);
    const full = await openAt(root, { freeBytes: 2 ** 40, freeInodes: 0 });
    await assert.rejects(beginSession(full, { ...FIRST, base: 1, session: 2 }), refusedAs('no-space'));
    const many = await openAt(root, { freeBytes: 0, freeInodes: freeInodes + 1 });
    await assert.rejects(beginSession(many, { ...FIRST, base: 1, session: 2 }), refusedAs('no-space'));
  }),
);

test('S5: a disk that turns read-only fails the send, and heals', { skip }, () =>
  withLoopFs(SMALL, async (root) => {
    const archive = await openAt(root);
    await commitSession(archive, FIRST);
    const send = await beginSession(archive, { ...FIRST, base: 1, session: 2 });
    send.chunk(0, bytes('zero'));
    execFileSync('mount', ['-o', 'remount,ro', root]);
    assert.throws(() => send.chunk(CHUNK, bytes('one')), refusedAs('io'));
    await assert.rejects(send.abandon(false), refusedAs('io'));
    await assert.rejects(beginSession(archive, { ...FIRST, base: 1, session: 2 }), refusedAs('io'));
    assert.equal(await stored(archive, 1, 5), 'five');
    execFileSync('mount', ['-o', 'remount,rw', root]);
    await commitSession(archive, { ...FIRST, base: 1, session: 2 });
    assert.deepEqual(visible(archive), [sessionName(1), sessionName(2)]);
    await archive.close();
  }),
);

test('S17: a root that must be a mount point and is none is refused, and nothing is made there', { skip }, () =>
  withLoopFs(SMALL, async (root) => {
    const below = join(root, 'below');
    mkdirSync(below);
    for (const place of [below, join(root, 'nowhere')]) {
      const store = storeAt(place);
      assert.throws(() => store.archives(), refusedAs('not-mounted'));
      await assert.rejects(store.create(newArchive(), impatient), refusedAs('not-mounted'));
      await assert.rejects(store.open(LAPTOP, impatient), refusedAs('not-mounted'));
    }
    await storeAt(root).create(newArchive(), impatient);
    await storeAt(below, undefined, false).create(newArchive(), impatient);
  }),
);
