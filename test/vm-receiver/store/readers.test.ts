import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FolderLock } from '../../../vm-receiver/store/files/lock.ts';
import { VolumeReaders } from '../../../vm-receiver/store/files/readers.ts';
import { OTHER_VOLUME, VOLUME, CHUNK, impatient, refusedAs } from './scene.ts';
import { MemoryDisk } from './memory-disk.ts';

function diskWithVolumes(): MemoryDisk {
  const disk = new MemoryDisk();
  for (const path of ['/volumes', `/volumes/${VOLUME}`, `/volumes/${OTHER_VOLUME}`]) disk.makeFolder(path);
  return disk;
}

const lockAlone = (disk: MemoryDisk) => FolderLock.take(disk, `/volumes/${VOLUME}`, 'alone', 'it', impatient);

test('a volume stays locked between two reads, and is let go of and taken anew when its time is over', async () => {
  const disk = diskWithVolumes();
  const lasting = new VolumeReaders(disk, '/', CHUNK, impatient, 1e9);
  const reader = await lasting.get(VOLUME);
  assert.equal(await lasting.get(VOLUME), reader);
  await assert.rejects(lockAlone(disk), refusedAs('locked'));
  lasting.close();
  assert.equal(disk.openFiles, 0);

  const renewed = new VolumeReaders(disk, '/', CHUNK, impatient, 0);
  const first = await renewed.get(VOLUME);
  assert.notEqual(await renewed.get(VOLUME), first);
  assert.equal(disk.openFiles, 1);
  renewed.close();
  (await lockAlone(disk)).release();
});

test('readers share a volume, and keep few of them', async () => {
  const disk = diskWithVolumes();
  const [one, two] = [0, 1].map(() => new VolumeReaders(disk, '/', CHUNK, impatient));
  assert.ok(await one!.get(VOLUME));
  assert.ok(await two!.get(VOLUME));
  assert.ok(await one!.get(OTHER_VOLUME));
  assert.equal(await one!.get('00'.repeat(16) as typeof VOLUME), undefined);
  for (let number = 1; number < 40; number++) {
    const volume = number.toString(16).padStart(32, '0') as typeof VOLUME;
    disk.makeFolder(`/volumes/${volume}`);
    assert.ok(await one!.get(volume));
  }
  assert.ok(disk.openFiles <= 17, String(disk.openFiles));
  one!.close();
  two!.close();
  assert.equal(disk.openFiles, 0);
});
