import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { Rules } from '../../../vm-receiver/store/store.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { Random } from '../../fixtures/random.ts';
import { storeConformance } from './conformance.ts';
import { keptConformance } from './kept-conformance.ts';
import { faultyDisk, shortDisk, type Fault } from './faulty-disk.ts';
import { lifeConformance, type WithStore } from './life-conformance.ts';
import { inspect, live, nothingAnswered } from './history.ts';
import { VOLUME, pairingId } from './small-volumes.ts';
import { MemoryDisk } from './memory-disk.ts';
import { SURVIVALS, liveUntilCut } from './power.ts';

function storeOn(disk: Disk, rules?: Rules): FilesStore {
  const floors = { freeBytes: 0, freeInodes: 0 };
  return new FilesStore(disk, { root: '/', requireMount: false, floors, ...(rules && { rules }) });
}

const onMemoryDisk: WithStore = async (use, rules) => {
  const disk = new MemoryDisk();
  await use(storeOn(disk, rules));
  assert.equal(disk.openFiles, 0, 'files are left open');
};
const onShortDisk: WithStore = (use, rules) => use(storeOn(shortDisk(new MemoryDisk()), rules));

storeConformance('files on a disk in memory', onMemoryDisk);
keptConformance('files on a disk in memory', onMemoryDisk);
lifeConformance('files on a disk in memory', onMemoryDisk);
storeConformance('S3: files on a disk that takes and gives a byte at a time', onShortDisk);
keptConformance('S3: files on a disk that takes and gives a byte at a time', onShortDisk);
lifeConformance('S3: files on a disk that takes and gives a byte at a time', onShortDisk);

/** Runs the history with one fault, then without; gives what failed, or undefined once the fault lies past the end. */
async function liveThrough(fault: Fault): Promise<keyof Disk | undefined> {
  const real = new MemoryDisk();
  const { disk, log } = faultyDisk(real, fault);
  const answered = nothingAnswered();
  try {
    await live(storeOn(disk), answered);
  } catch (error) {
    assert.ok(error instanceof Refusal, error instanceof Error ? error.stack : String(error));
    const expected = fault.code === 'ENOSPC' || fault.code === 'EDQUOT' ? 'no-space' : 'io';
    assert.equal(error.answer, expected, `${String(log.failed)}: ${error.message}`);
    assert.ok(!error.message.includes('injected') && !error.message.includes('//'), error.message);
  }
  assert.equal(real.openFiles, 0, `files are left open after ${String(log.failed)} failed`);
  await inspect(storeOn(real), answered);
  await live(storeOn(real), answered);
  assert.equal(answered.sessions, 2);
  await inspect(storeOn(real), answered);
  return log.failed;
}

describe('each operation of the disk fails in turn', () => {
  const faults: Record<string, Omit<Fault, 'at'>> = {
    'S1: no space, once': { code: 'ENOSPC', forever: false },
    'S1: no space from then on': { code: 'ENOSPC', forever: true },
    'S1: over quota': { code: 'EDQUOT', forever: true },
    'S2: an I/O error, once': { code: 'EIO', forever: false },
    'S2: I/O errors from then on': { code: 'EIO', forever: true },
    'S4: an fsync or sync fails once and then succeeds': {
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
    'S7: no inodes': { code: 'ENOSPC', forever: true, only: ['open', 'makeFolder', 'replace'] },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(name, async () => {
      const failed = new Set<string>();
      let fired = 0;
      for (let at = 1; ; at++) {
        const operation = await liveThrough({ ...fault, at });
        if (operation === undefined) break;
        failed.add(operation);
        fired += 1;
      }
      console.log(`${name}: ${String(fired)} faults, in ${[...failed].sort().join(' ')}`);
      assert.ok(fired > 5);
    });
  }
});

/** The history until the power cut; false when it came to its end before. */
async function liveUntil(
  real: MemoryDisk,
  at: number,
  answered: ReturnType<typeof nothingAnswered>,
  resumes = true,
): Promise<boolean> {
  return await liveUntilCut(real, at, (disk) => live(storeOn(disk), answered, resumes));
}

describe('the power is cut at each operation of the disk', () => {
  test('S8, I2, I3, I9: what was answered stays, what was not is whole or not there', async () => {
    const random = new Random('power cut');
    let cuts = 0;
    for (let at = 1; ; at++) {
      let reached = false;
      for (const survival of SURVIVALS) {
        const answered = nothingAnswered();
        const before = new MemoryDisk();
        reached = await liveUntil(before, at, answered);
        const after = before.afterPowerCut(survival, random);
        await inspect(storeOn(after), answered);
        await live(storeOn(after), answered);
        assert.equal(answered.sessions, 2);
        await inspect(storeOn(after), answered);
        await inspect(storeOn(after.afterPowerCut('none', random)), answered);
        cuts += 1;
      }
      if (!reached) break;
    }
    console.log(`S8: ${String(cuts)} power cuts`);
    assert.ok(cuts > 300);
  });

  test('S9, S14: and again while it recovers, or only the receiver is killed, and what is there is discarded', async () => {
    const random = new Random('power cut in recovery');
    for (let round = 0; round < 600; round++) {
      const answered = nothingAnswered();
      let disk = new MemoryDisk();
      for (let cut = 0; cut < 4; cut++) {
        await liveUntil(disk, random.between(1, 220), answered, !random.once(3));
        if (random.once(2)) disk = disk.afterPowerCut(random.pick(SURVIVALS), random);
        else disk.forgetUsers();
        await inspect(storeOn(disk), answered);
      }
      await live(storeOn(disk), answered);
      await inspect(storeOn(disk), answered);
      await inspect(storeOn(disk.afterPowerCut('none', random)), answered);
      await inspect(storeOn(disk.afterPowerCut('some', random)), answered);
    }
  });

  test('S8, S11: what a killed receiver left is durable before it is built on', async () => {
    const random = new Random('asked again');
    let cuts = 0;
    for (let at = 1; ; at++) {
      // Killed at one operation; the next one has the power cut at one of its first.
      for (let next = 2; next < 40; next++) {
        const answered = nothingAnswered();
        const disk = new MemoryDisk();
        if (!(await liveUntil(disk, at, answered))) {
          assert.ok(cuts > 3000);
          return;
        }
        disk.forgetUsers();
        await liveUntil(disk, next, answered);
        await inspect(storeOn(disk.afterPowerCut('none', random)), answered);
        cuts += 1;
      }
    }
  });

  test('S9: a discarded send that was cut off is never gone on with', async () => {
    const random = new Random('discard');
    for (let at = 1; at < 60; at++) {
      for (let round = 0; round < 20; round++) {
        const answered = nothingAnswered();
        let disk = new MemoryDisk();
        // Behind the checkpoint of the first session.
        await liveUntil(disk, 80, answered);
        disk = disk.afterPowerCut('all', random);
        const checkpoint = `/laptop/volumes/${VOLUME}/.tmp-${pairingId(1)}/checkpoint`;
        assert.equal(disk.kindOf(checkpoint), 'file', 'no send that could be resumed');
        await liveUntil(disk, at, answered, false);
        disk = disk.afterPowerCut('some', random);
        await live(storeOn(disk), answered);
        await inspect(storeOn(disk), answered);
      }
    }
  });
});
