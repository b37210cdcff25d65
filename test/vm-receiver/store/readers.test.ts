import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HeldLock, NO_LINGERING, type Lingering } from '../../../vm-receiver/store/files/disk/held-lock.ts';
import { VolumeReaders } from '../../../vm-receiver/store/files/layout/readers.ts';
import { OTHER_VOLUME, VOLUME, CHUNK, impatient, refusedAs, sessionName } from './small-volumes.ts';
import { MemoryDisk } from './memory-disk.ts';

function diskWithVolumes(): MemoryDisk {
  const disk = new MemoryDisk();
  for (const path of ['/volumes', `/volumes/${VOLUME}`, `/volumes/${OTHER_VOLUME}`]) disk.makeFolder(path);
  return disk;
}

function lockOf(disk: MemoryDisk, shared: Lingering = NO_LINGERING, alone: Lingering = NO_LINGERING): HeldLock {
  const open = () => disk.open('/volumes', 'folder');
  return new HeldLock(disk, { name: 'it', open, lingering: { shared, alone } }, impatient);
}

const FOR_EVER: Lingering = { idle: 1e9, turn: 1e9, longest: 1e9 };

test('what is known of a volume stays until the lock is let go of, and is looked at anew then', async () => {
  const disk = diskWithVolumes();
  const lock = lockOf(disk, FOR_EVER);
  const lasting = new VolumeReaders(disk, '/', CHUNK, lock);
  const reader = await lasting.get(VOLUME);
  assert.equal(await lasting.get(VOLUME), reader);
  await assert.rejects(lockOf(disk).take('alone'), refusedAs('locked'));
  lock.letGo();
  assert.equal(disk.openFiles, 0);
  assert.notEqual(await lasting.get(VOLUME), reader);
  lock.letGo();

  const renewed = new VolumeReaders(disk, '/', CHUNK, lockOf(disk, { idle: 1e9, turn: 0, longest: 0 }));
  const first = await renewed.get(VOLUME);
  assert.notEqual(await renewed.get(VOLUME), first, 'its time is over');
  assert.equal(disk.openFiles, 1);
});

test('a session that another process committed meanwhile is found', async () => {
  const disk = diskWithVolumes();
  const readers = new VolumeReaders(disk, '/', CHUNK, lockOf(disk, FOR_EVER));
  assert.deepEqual((await readers.get(VOLUME))?.sessions, []);
  disk.makeFolder(`/volumes/${VOLUME}/${sessionName(1)}`);
  assert.deepEqual((await readers.get(VOLUME))?.sessions, []);
  assert.equal((await readers.get(VOLUME, sessionName(1)))?.sessions.length, 1);
});

test('readers share the volumes, and keep few of them in mind', async () => {
  const disk = diskWithVolumes();
  const [one, two] = [0, 1].map(() => new VolumeReaders(disk, '/', CHUNK, lockOf(disk, FOR_EVER)));
  assert.ok(await one!.get(VOLUME));
  assert.ok(await two!.get(VOLUME));
  assert.equal(await one!.get('00'.repeat(16) as typeof VOLUME), undefined);
  const first = await one!.get(OTHER_VOLUME);
  for (let number = 1; number < 40; number++) {
    const volume = number.toString(16).padStart(32, '0') as typeof VOLUME;
    disk.makeFolder(`/volumes/${volume}`);
    assert.ok(await one!.get(volume));
  }
  assert.notEqual(await one!.get(OTHER_VOLUME), first, 'it was forgotten');
  assert.equal(disk.openFiles, 2);
});

test('a lock is kept for a moment between two uses, never beyond its time, and not under another mode', async () => {
  const disk = diskWithVolumes();
  const lock = lockOf(disk, NO_LINGERING, { idle: 50, turn: 0, longest: 1e9 });
  const other = lockOf(disk);
  let released = 0;
  lock.onReleased = () => (released += 1);
  await lock.take('alone');
  lock.give();
  await lock.take('alone');
  assert.equal(released, 0);
  lock.give();
  disk.waitedFor = true;
  await lock.take('alone');
  assert.equal(released, 1, 'another process waited');
  disk.waitedFor = false;
  released = 0;
  // Two uses of one call.
  await lock.take('alone');
  lock.give();
  await delay(250);
  await assert.rejects(other.take('shared'), refusedAs('locked'), 'it is in use');
  lock.give();
  await assert.rejects(other.take('shared'), refusedAs('locked'), 'it lingers');
  await delay(250);
  await other.during('shared', () => undefined);
  assert.equal(released, 1);
  await lock.take('alone');
  lock.give();
  await lock.take('shared');
  assert.equal(released, 2);
  await other.during('shared', () => undefined);
  await assert.rejects(lock.take('alone'), refusedAs('locked'), 'its own reader is in the way');
  lock.give();
  assert.equal(disk.openFiles, 0);
});
