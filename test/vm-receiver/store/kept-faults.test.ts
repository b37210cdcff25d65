import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { Random } from '../../fixtures/random.ts';
import { faultyDisk, type Fault } from './faulty-disk.ts';
import { STEPS, inspectOpening, liveOn, makeArchive, scrubOpening, type Done } from './kept-life.ts';
import { MemoryDisk } from './memory-disk.ts';
import { SURVIVALS, liveUntilCut } from './power.ts';
import { LAPTOP, impatient } from './small-volumes.ts';

function storeOn(disk: Disk): FilesStore {
  return new FilesStore(disk, { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
}

const random = new Random('kept');

/** An archive as this receiver makes it, and one as a receiver made it that kept nothing. */
async function pasts(): Promise<Record<string, () => MemoryDisk>> {
  const disk = new MemoryDisk();
  await makeArchive(storeOn(disk));
  const older = disk.afterPowerCut('all', random);
  await older.removeTree(`/${LAPTOP}/kept`);
  await older.syncFileSystem();
  return {
    'an archive': () => disk.afterPowerCut('all', random),
    'an archive of before': () => older.afterPowerCut('all', random),
  };
}

const PASTS = Object.entries(await pasts());

async function goOn(disk: MemoryDisk, done: Done): Promise<void> {
  await inspectOpening(storeOn(disk), done);
  if (random.once(2)) await scrubOpening(storeOn(disk));
  await inspectOpening(storeOn(disk), done);
  await liveOn(storeOn(disk), done);
  assert.equal(done.steps, STEPS.length);
  await inspectOpening(storeOn(disk), done);
  await inspectOpening(storeOn(disk.afterPowerCut('none', random)), done);
  const kept = ['keys', 'catalogues'].flatMap((kind) => disk.list(`/${LAPTOP}/kept/${kind}`));
  assert.deepEqual(
    kept.filter((name) => name.endsWith('.new')),
    [],
    'a draft is left',
  );
}

/** Undefined once the fault lies past the end. */
async function liveThrough(real: MemoryDisk, fault: Fault): Promise<keyof Disk | undefined> {
  const { disk, log } = faultyDisk(real, fault);
  const done = { steps: 0 };
  try {
    await liveOn(storeOn(disk), done);
  } catch (error) {
    assert.ok(error instanceof Refusal, error instanceof Error ? error.stack : String(error));
    assert.ok(!error.message.includes('injected') && !error.message.includes('//'), error.message);
  }
  assert.equal(real.openFiles, 0, `files are left open after ${String(log.failed)} failed`);
  await goOn(real, done);
  return log.failed;
}

describe('key slots and catalogues, and each operation of the disk fails in turn', () => {
  const faults: Record<string, Omit<Fault, 'at'>> = {
    'S1: no space from then on': { code: 'ENOSPC', forever: true, only: ['write', 'makeFolder', 'replace', 'rename'] },
    'S2: an I/O error, once': { code: 'EIO', forever: false },
    'S2: I/O errors from then on': { code: 'EIO', forever: true },
    'S4: a sync fails once and then succeeds': { code: 'EIO', forever: false, only: ['syncFolder', 'replace'] },
    'S5: read-only from then on': {
      code: 'EROFS',
      forever: true,
      only: ['write', 'makeFolder', 'rename', 'remove', 'replace'],
    },
    'S6: no file handles': { code: 'EMFILE', forever: false, only: ['open'] },
  };
  for (const [name, fault] of Object.entries(faults)) {
    for (const [past, make] of PASTS) {
      test(`${name}, in ${past}`, async () => {
        let fired = 0;
        for (let at = 1; ; at++) {
          if ((await liveThrough(make(), { ...fault, at })) === undefined) break;
          fired += 1;
        }
        console.log(`${name}: ${fired} faults`);
        assert.ok(fired > 5);
      });
    }
  }
});

describe('a scrub that cannot write what it keeps goes on without', () => {
  for (const code of ['EROFS', 'ENOSPC', 'EIO', 'EACCES']) {
    for (const [past, make] of PASTS) {
      test(`S1, S2, S5: ${code}, in ${past}`, async () => {
        const real = make();
        const only = ['write', 'makeFolder', 'rename', 'remove', 'replace'] as const;
        const { disk } = faultyDisk(real, { at: 1, code, forever: true, only });
        await scrubOpening(storeOn(disk));
        // What cannot be put back is named still.
        real.remove(`/${LAPTOP}/keys/passphrase`);
        real.replace(`/${LAPTOP}/catalogue`, 'garbage');
        const archive = await storeOn(disk).open(LAPTOP, impatient);
        const request = { now: Date.now(), before: 0, more: () => true, file: async () => undefined };
        const { objects } = await archive.scrub(request);
        await archive.close();
        const places = objects.map(({ place, repaired }) => [place, repaired]);
        assert.deepEqual(places[0], ['catalogue', false]);
        if (past === 'an archive') assert.deepEqual(places[1], ['keys/passphrase', false]);
        assert.equal(real.openFiles, 0);
      });
    }
  }
});

describe('key slots and catalogues, and the power is cut at each operation of the disk', () => {
  for (const [past, make] of PASTS) {
    test(`S8, I2: what was answered stays, and what was replaced is kept, in ${past}`, async () => {
      let cuts = 0;
      for (let at = 1, reached = true; reached; at++) {
        for (const survival of SURVIVALS) {
          const done = { steps: 0 };
          const disk = make();
          reached = await liveUntilCut(disk, at, (each) => liveOn(storeOn(each), done));
          await goOn(disk.afterPowerCut(survival, random), done);
          cuts += 1;
        }
      }
      console.log(`S8: ${cuts} power cuts`);
      assert.ok(cuts > 300);
    });

    test(`S9: what a killed receiver left visible and not durable is not taken for lost, in ${past}`, async () => {
      // The step that puts back a slot that was removed.
      const step = 5;
      for (let killed = 1, reached = true; reached; killed++) {
        for (let cut = 1, ended = false; !ended; cut++) {
          const done = { steps: 0 };
          const disk = make();
          await liveOn(storeOn(disk), done, step);
          reached = await liveUntilCut(disk, killed, (each) => liveOn(storeOn(each), done, step + 1));
          disk.forgetUsers();
          ended = !(await liveUntilCut(disk, cut, (each) => liveOn(storeOn(each), done, step + 1)));
          await inspectOpening(storeOn(disk.afterPowerCut('none', random)), done);
        }
      }
    });

    test(`S9, S11, S14: and again while it recovers, or only the receiver is killed, in ${past}`, async () => {
      for (let round = 0; round < 400; round++) {
        const done = { steps: 0 };
        let disk = make();
        for (let cut = 0; cut < 4; cut++) {
          const steps = done.steps;
          await liveUntilCut(disk, random.between(1, 120), (each) => liveOn(storeOn(each), done));
          if (random.once(2)) disk = disk.afterPowerCut(random.pick(SURVIVALS), random);
          else disk.forgetUsers();
          assert.ok(done.steps >= steps);
          if (random.once(2)) await inspectOpening(storeOn(disk), done);
        }
        await goOn(disk, done);
      }
    });
  }
});
