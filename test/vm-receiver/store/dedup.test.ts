import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { VolumeId } from '../../../shared/archive/names.ts';
import { systemDisk, type Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore } from '../../../vm-receiver/store/store.ts';
import { loopFsSkip, withLoopFs } from '../../fixtures/loop-fs.ts';
import { MemoryDisk } from './memory-disk.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  bytes,
  commitSession,
  impatient,
  newArchive,
  pairingId,
  sessionName,
  stored,
  takeSteps,
  visible,
  planOf,
  type Step,
} from './small-volumes.ts';

const THIRD_VOLUME = 'cf'.repeat(16) as VolumeId;

function storeOn(disk: Disk): FilesStore {
  return new FilesStore(disk, { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
}

async function openOn(disk: Disk, dedup = true): Promise<ArchiveStore> {
  await storeOn(disk).create(newArchive({ encrypted: !dedup, dedup }), impatient);
  return await storeOn(disk).open(LAPTOP, impatient);
}

const first = (steps: readonly Step[], volume = VOLUME) => ({ volume, ...planOf(1, 4000, steps) });

function chunkPath(chunk: number, session = 1, volume = VOLUME): string {
  const name = (chunk * CHUNK).toString(16).padStart(16, '0');
  return `/laptop/volumes/${volume}/${sessionName(session)}/${(Math.floor(chunk / 1024) * 1024 * CHUNK).toString(16).padStart(16, '0').slice(0, 10)}/${name}`;
}

function poolPath(content: string): string {
  const sum = createHash('sha256').update(content).digest('hex');
  return `/laptop/pool/${sum.slice(0, 2)}/${sum}`;
}

function inodes(disk: Disk, ...paths: string[]): number {
  return new Set(paths.map((path) => disk.entryAt(path)?.inode)).size;
}

/** Names in the pool. */
function poolOf(disk: Disk): string[] {
  if (disk.kindOf('/laptop/pool') === undefined) return [];
  return disk.list('/laptop/pool').flatMap((folder) => disk.list(`/laptop/pool/${folder}`));
}

/** Writes over a file's bytes behind the store's back. */
function rot(disk: MemoryDisk, path: string, content: string): void {
  const inode = disk.entryAt(path);
  assert.ok(inode, path);
  const fd = disk.open(path, 'append');
  disk.overwrite(fd, bytes(content));
  disk.close(fd);
}

describe('equal chunks', () => {
  test('share their bytes: in one session, in a later one, in another volume', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    const twins: Step[] = [
      { chunk: 0, data: 'same' },
      { chunk: 1, data: 'same' },
      { chunk: 2, data: 'other' },
      { chunk: 2000, data: 'same' },
    ];
    await commitSession(archive, first(twins));
    await commitSession(archive, first([{ chunk: 7, data: 'same' }], OTHER_VOLUME));
    await commitSession(archive, planOf(2, 4000, [{ chunk: 5, data: 'same' }]));
    const all = [chunkPath(0), chunkPath(1), chunkPath(2000), chunkPath(5, 2), chunkPath(7, 1, OTHER_VOLUME)];
    assert.equal(inodes(disk, ...all, poolPath('same')), 1);
    assert.equal(disk.entryAt(poolPath('same'))?.links, 6);
    assert.equal(disk.entryAt(chunkPath(2))?.links, 2, 'its own name, and that in the pool');
    for (const chunk of [0, 1, 2000]) assert.equal(await stored(archive, 1, chunk), 'same');
    assert.equal(await stored(archive, 2, 2), 'other');
    await archive.close();
  });

  test('leave with the last that has them, however they go', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    for (const volume of [VOLUME, OTHER_VOLUME]) {
      await commitSession(archive, first([{ chunk: 0, data: 'same' }], volume));
      const steps = [{ chunk: 0, data: `own of ${volume}` }];
      await commitSession(archive, { volume, ...planOf(2, 4000, steps) });
    }
    const own = 'head 1index 1'.length;
    assert.equal(await archive.freed(VOLUME, [sessionName(1)]), own);
    assert.equal(await archive.prune(VOLUME, sessionName(1)), own, 'another volume has the chunk still');
    assert.equal(poolOf(disk).length, 3);
    assert.equal(await archive.freed(OTHER_VOLUME, [sessionName(1)]), own + 'same'.length);
    assert.equal(await archive.prune(OTHER_VOLUME, sessionName(1)), own + 'same'.length);
    assert.equal(poolOf(disk).length, 2);
    await archive.delete(VOLUME);
    await archive.delete(OTHER_VOLUME);
    assert.deepEqual(poolOf(disk), []);
    await archive.close();
  });

  test('of two sessions that go together are counted as freed once both are gone', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    await commitSession(archive, first([{ chunk: 0, data: 'same' }]));
    await commitSession(
      archive,
      planOf(2, 4000, [
        { chunk: 0, data: 'x' },
        { chunk: 1, data: 'same' },
      ]),
    );
    const third = [0, 1].map((chunk) => ({ chunk, data: `new ${chunk}` }));
    await commitSession(archive, planOf(3, 4000, third));
    const both = [sessionName(1), sessionName(2)];
    const told = await archive.freed(VOLUME, both);
    assert.equal(told, 'head 1index 1head 2index 2samex'.length);
    let freed = 0;
    for (const session of both) freed += (await archive.prune(VOLUME, session)) ?? 0;
    assert.equal(freed, told);
    await archive.close();
  });

  test('of a send that came to nothing leave nothing behind; of one that was killed, until the next sweep', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    await commitSession(archive, first([{ chunk: 0, data: 'same' }], OTHER_VOLUME));
    const steps = [
      { chunk: 0, data: 'same' },
      { chunk: 1, data: 'never committed' },
    ];
    const send = await beginSession(archive, first(steps));
    await takeSteps(send, steps);
    assert.equal(disk.entryAt(poolPath('same'))?.links, 3, 'what is there already is not written again');
    await send.abandon(false);
    assert.equal(poolOf(disk).length, 1);
    await archive.delete(OTHER_VOLUME);
    assert.deepEqual(poolOf(disk), []);
    const killed = await beginSession(archive, first(steps));
    await takeSteps(killed, steps);
    disk.makeFolder('/laptop/pool/00');
    disk.link(`/laptop/volumes/${VOLUME}/.tmp-${pairingId(1)}/0000000000/0000000000010000`, '/laptop/pool/00/left');
    await killed.abandon(false);
    assert.deepEqual(poolOf(disk), ['left']);
    await archive.deduplicate();
    assert.deepEqual(poolOf(disk), []);
    await archive.close();
  });

  test('S16: as many links as the file system allows, and then a copy, which is the next one’s to link to', async () => {
    const disk = new MemoryDisk();
    disk.maxLinks = 4;
    const archive = await openOn(disk);
    const steps = Array.from({ length: 10 }, (_, chunk) => ({ chunk, data: 'same' }));
    await commitSession(archive, first(steps));
    await commitSession(archive, first(steps, OTHER_VOLUME));
    for (let chunk = 0; chunk < 10; chunk++) {
      for (const volume of [VOLUME, OTHER_VOLUME]) assert.equal(await stored(archive, 1, chunk, volume), 'same');
    }
    const paths = steps.flatMap(({ chunk }) => [chunkPath(chunk), chunkPath(chunk, 1, OTHER_VOLUME)]);
    const copies = inodes(disk, ...paths);
    assert.ok(copies >= 5 && copies <= 8, `${copies} copies of 20 chunks, 4 names each`);
    await archive.close();
  });

  test('S16: damage to more names than one sound chunk may have is repaired by copies of it', async () => {
    const disk = new MemoryDisk();
    disk.maxLinks = 4;
    const archive = await openOn(disk);
    const steps = Array.from({ length: 4 }, (_, chunk) => ({ chunk, data: 'same' }));
    await commitSession(archive, first(steps));
    const inode = disk.entryAt(poolPath('same'))?.inode;
    const rotten = steps.map(({ chunk }) => chunkPath(chunk)).find((path) => disk.entryAt(path)?.inode !== inode);
    rot(disk, rotten!, 'sama');
    await commitSession(archive, first(steps, OTHER_VOLUME));
    const { repaired } = await archive.deduplicate();
    assert.ok(repaired >= 3, `${repaired} names of what rotted`);
    for (let chunk = 0; chunk < 4; chunk++) assert.equal(await stored(archive, 1, chunk), 'same');
    await archive.close();
  });

  test('S2: a pool that has rotted is not believed, and is replaced by what is sound', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    await commitSession(archive, first([{ chunk: 0, data: 'same' }]));
    rot(disk, chunkPath(0), 'sama');
    await commitSession(archive, first([{ chunk: 0, data: 'same' }], OTHER_VOLUME));
    assert.equal(await stored(archive, 1, 0, OTHER_VOLUME), 'same', 'bytes are compared before they are linked');
    assert.equal(inodes(disk, poolPath('same'), chunkPath(0, 1, OTHER_VOLUME)), 1);
    const { repaired } = await archive.deduplicate();
    assert.equal(repaired, 1);
    assert.equal(await stored(archive, 1, 0), 'same', 'and what is sound repairs what is not');
    await archive.close();
  });

  test('are linked afterwards in an archive that was made without deduplication', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk, false);
    const steps = [
      { chunk: 0, data: 'same' },
      { chunk: 1, data: 'same' },
      { chunk: 2000, data: 'other' },
    ];
    await commitSession(archive, first(steps));
    await commitSession(archive, first(steps, OTHER_VOLUME));
    const send = await beginSession(archive, { ...first(steps, OTHER_VOLUME), base: 1, session: 2 });
    await takeSteps(send, [{ chunk: 0, data: 'under way' }]);
    assert.deepEqual(poolOf(disk), []);
    assert.deepEqual(await archive.deduplicate(), {
      chunks: 6,
      linked: 4,
      savedBytes: 'samesamesameother'.length,
      copies: 0,
      repaired: 0,
    });
    const { chunks, linked, savedBytes } = await archive.deduplicate();
    assert.deepEqual([chunks, linked, savedBytes], [6, 0, 0], 'again');
    await send.commit(bytes('head 2'), []);
    for (const volume of [VOLUME, OTHER_VOLUME]) assert.equal(await stored(archive, 1, 1, volume), 'same');
    assert.equal(await archive.delete(VOLUME), 'head 1index 1'.length, 'all else is the other volume’s, too');
    assert.equal(await stored(archive, 1, 2000, OTHER_VOLUME), 'other');
    await archive.close();
  });

  test('a link that was cut off before it took its place is cleared away', async () => {
    const disk = new MemoryDisk();
    const archive = await openOn(disk);
    await commitSession(archive, first([{ chunk: 0, data: 'same' }]));
    disk.link(poolPath('same'), `${chunkPath(0)}.link`);
    await archive.deduplicate();
    assert.equal(disk.entryAt(poolPath('same'))?.links, 2);
    await archive.close();
  });
});

test('S16: on ext4, which allows 65000 links', { skip: loopFsSkip('ext4') }, () =>
  withLoopFs({ type: 'ext4', size: 64 * 2 ** 20 }, async (root) => {
    const floors = { freeBytes: 0, freeInodes: 0 };
    const store = new FilesStore(systemDisk, { root, requireMount: true, floors });
    await store.create(newArchive({ dedup: true }), impatient);
    const archive = await store.open(LAPTOP, impatient);
    const data = 'same'.repeat(1000);
    const size = 65_010;
    await commitSession(archive, { ...first([{ chunk: 0, data }]), size });
    const free = archive.space().freeBytes;
    const send = await beginSession(archive, { ...first([], THIRD_VOLUME), size });
    for (let chunk = 0; chunk < size; chunk++) send.chunk(chunk * CHUNK, bytes(data));
    await send.commit(bytes('head 1'), []);
    // One name less: the pool's went over to the copy.
    assert.equal(systemDisk.entryAt(`${root}${chunkPath(0)}`)?.links, 64_999);
    assert.equal(systemDisk.entryAt(`${root}${chunkPath(size - 1, 1, THIRD_VOLUME)}`)?.links, 13);
    assert.ok(free - archive.space().freeBytes < 16 * 2 ** 20);
    const target = new Uint8Array(4000);
    for (const chunk of [0, 64_990, 65_000, size - 1]) {
      assert.equal(await archive.chunk(THIRD_VOLUME, sessionName(1), chunk * CHUNK, target, 0), 4000);
      assert.equal(Buffer.compare(target, bytes(data)), 0);
    }
    assert.deepEqual(visible(archive), [sessionName(1)]);
    await archive.close();
  }),
);
