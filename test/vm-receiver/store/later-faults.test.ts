import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { Random } from '../../fixtures/random.ts';
import { faultyDisk, type Fault } from './faulty-disk.ts';
import { goOn, inspectLater, liveOn, makePast, nothingAsked, type Asked } from './later-life.ts';
import { MemoryDisk } from './memory-disk.ts';
import { SURVIVALS, liveUntilCut } from './power.ts';
import { LAPTOP, OTHER_VOLUME, VOLUME, impatient } from './small-volumes.ts';

function storeOn(disk: Disk): FilesStore {
  return new FilesStore(disk, { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
}

const random = new Random('later life');
/** A disk of its own each time, with the same past. */
async function pastOf(dedup: boolean): Promise<() => MemoryDisk> {
  const past = new MemoryDisk();
  await makePast(storeOn(past), dedup);
  return () => past.afterPowerCut('all', random);
}

const newPast = await pastOf(false);
const newSharedPast = await pastOf(true);

/** Every so many operations one is tried, from a random one on: over a few runs, all of them. */
const ORDERS = [
  { past: newPast, order: [3, 1, 2], stride: 2 },
  { past: newPast, order: [1, 2, 3], stride: 9 },
  { past: newPast, order: [3, 2, 1], stride: 9 },
  { past: newSharedPast, order: [3, 1, 2], stride: 5 },
];

/** All was answered: nothing of what was taken away is left on the disk, and life goes on. */
async function conclude(disk: MemoryDisk): Promise<void> {
  const volumes = '/laptop/volumes';
  assert.deepEqual(disk.list(volumes), [VOLUME], `${OTHER_VOLUME} has left something`);
  assert.deepEqual(disk.list(`${volumes}/${VOLUME}`).sort(), ['S_20261123-000004', 'name']);
  await goOn(storeOn(disk));
  // A removal that was cut off may have left something in the pool, until the next sweep.
  const archive = await storeOn(disk).open(LAPTOP, impatient);
  await archive.deduplicate();
  await archive.close();
  assert.deepEqual(poolOf(disk), poolOf(disk, 2), 'the pool has what no session has');
}

/** What is in the pool and has at least so many names. */
function poolOf(disk: MemoryDisk, names = 1): string[] {
  if (disk.kindOf('/laptop/pool') === undefined) return [];
  return disk
    .list('/laptop/pool')
    .flatMap((folder) => disk.list(`/laptop/pool/${folder}`).map((name) => `/laptop/pool/${folder}/${name}`))
    .filter((path) => (disk.entryAt(path)?.links ?? 0) >= names);
}

async function liveThrough(real: MemoryDisk, fault: Fault, order: readonly number[]): Promise<keyof Disk | undefined> {
  const { disk, log } = faultyDisk(real, fault);
  const asked = nothingAsked();
  try {
    await liveOn(storeOn(disk), asked, order);
  } catch (error) {
    assert.ok(error instanceof Refusal, error instanceof Error ? error.stack : String(error));
    assert.ok(!error.message.includes('injected') && !error.message.includes('//'), error.message);
  }
  assert.equal(real.openFiles, 0, `files are left open after ${String(log.failed)} failed`);
  await inspectLater(storeOn(real), asked);
  await liveOn(storeOn(real), asked, order);
  await inspectLater(storeOn(real), asked);
  await conclude(real);
  return log.failed;
}

describe('pruning and deleting, and each operation of the disk fails in turn', () => {
  const faults: Record<string, Omit<Fault, 'at'>> = {
    'S1: no space from then on': { code: 'ENOSPC', forever: true, only: ['write', 'makeFolder', 'replace', 'rename'] },
    'S2: an I/O error, once': { code: 'EIO', forever: false },
    'S2: I/O errors from then on': { code: 'EIO', forever: true, only: ['open', 'read', 'rename', 'link', 'remove'] },
    'S4: a sync fails once and then succeeds': {
      code: 'EIO',
      forever: false,
      only: ['syncFolder', 'syncEach', 'syncFileSystem', 'replace'],
    },
    'S5: read-only from then on': {
      code: 'EROFS',
      forever: true,
      only: ['write', 'makeFolder', 'rename', 'remove', 'removeTree', 'replace'],
    },
    'S6: no file handles': { code: 'EMFILE', forever: false, only: ['open'] },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(name, async () => {
      const failed = new Set<string>();
      let fired = 0;
      for (const { past, order, stride } of ORDERS) {
        for (let at = random.between(1, stride); ; at += stride) {
          const operation = await liveThrough(past(), { ...fault, at }, order);
          if (operation === undefined) break;
          failed.add(operation);
          fired += 1;
        }
      }
      console.log(`${name}: ${fired} faults, in ${[...failed].sort().join(' ')}`);
      assert.ok(fired > 10);
    });
  }
});

const liveIn = (asked: Asked, order: readonly number[]) => (disk: Disk) => liveOn(storeOn(disk), asked, order);

describe('pruning and deleting, and the power is cut at each operation of the disk', () => {
  test('S8, I2, I4: what stays reads as ever, and what was answered as gone is gone', async () => {
    let cuts = 0;
    for (const { past, order, stride } of ORDERS) {
      for (let at = random.between(1, stride), reached = true; reached; at += stride) {
        for (const survival of SURVIVALS.slice(0, 3)) {
          const asked = nothingAsked();
          const before = past();
          reached = await liveUntilCut(before, at, liveIn(asked, order));
          const after = before.afterPowerCut(survival, random);
          await inspectLater(storeOn(after), asked);
          await liveOn(storeOn(after), asked, order);
          await inspectLater(storeOn(after), asked);
          await inspectLater(storeOn(after.afterPowerCut('none', random)), asked);
          await conclude(after);
          cuts += 1;
        }
      }
    }
    console.log(`S8: ${cuts} power cuts`);
    assert.ok(cuts > 800);
  });

  test('S9, S11, S14: and again while it recovers, or only the receiver is killed', async () => {
    for (let round = 0; round < 300; round++) {
      const asked = nothingAsked();
      const { past, order } = random.pick(ORDERS);
      let disk = past();
      for (let cut = 0; cut < 4; cut++) {
        await liveUntilCut(disk, random.between(1, 300), liveIn(asked, order));
        if (random.once(2)) disk = disk.afterPowerCut(random.pick(SURVIVALS), random);
        else disk.forgetUsers();
        if (random.once(2)) await inspectLater(storeOn(disk), asked);
      }
      await liveOn(storeOn(disk), asked, order);
      await inspectLater(storeOn(disk), asked);
      await inspectLater(storeOn(disk.afterPowerCut('none', random)), asked);
      await conclude(disk);
    }
  });
});
