import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openTarget } from '../../../dom0-agent/restore/target.ts';
import { loopFsSkip, mountLoopFs } from '../../fixtures/loop-fs.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

describe('a file to restore to', () => {
  it('has its name only when it is finished, and its size from the start', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const target = openTarget(path, 12_345, false);
    assert.equal(existsSync(path), false);
    assert.equal(statSync(target.path).size, 12_345);
    writeFileSync(target.path, 'proven');
    await target.finish();
    assert.equal(readFileSync(path, 'utf8'), 'proven');
    assert.deepEqual(readdirSync(folder), ['a.img']);
  });

  it('leaves nothing when it is given up', async (t) => {
    const folder = scratchFor(t);
    await openTarget(join(folder, 'a.img'), 5, false).abandon();
    assert.deepEqual(readdirSync(folder), []);
  });

  it('G6 that is there already is taken only by force, and then stays until the new one is whole', async (t) => {
    const path = join(scratchFor(t), 'a.img');
    writeFileSync(path, 'old');
    assert.throws(() => openTarget(path, 5, false), { code: 'target', exitStatus: 1, message: /exists already/ });
    await openTarget(path, 5, true).abandon();
    assert.equal(readFileSync(path, 'utf8'), 'old');
    await openTarget(path, 5, true).finish();
    assert.deepEqual(readFileSync(path), Buffer.alloc(5));
  });

  it('G6 that somebody makes while it is restored is not replaced', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const target = openTarget(path, 5, false);
    writeFileSync(path, 'theirs');
    await assert.rejects(target.finish(), { code: 'target' });
    assert.equal(readFileSync(path, 'utf8'), 'theirs');
    assert.deepEqual(readdirSync(folder), ['a.img']);
  });

  it('G6 is never written through a link that waits under its name', async (t) => {
    const folder = scratchFor(t);
    const precious = join(folder, 'precious');
    writeFileSync(precious, 'precious');
    const path = join(folder, 'a.img');
    const mine = `${path}.sparsebak-partial-${process.pid}`;
    for (const plant of [() => symlinkSync(precious, mine), () => linkSync(precious, mine)]) {
      plant();
      const target = openTarget(path, 5, true);
      writeFileSync(target.path, 'other');
      await target.abandon();
      assert.equal(readFileSync(precious, 'utf8'), 'precious');
    }
  });

  it('takes away what a killed restore left, and not what another is writing', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const gone = spawnSync('true').pid;
    for (const owner of [gone, process.ppid]) writeFileSync(`${path}.sparsebak-partial-${owner}`, 'half');
    writeFileSync(`${path}.sparsebak-partial-notes`, 'theirs');
    await openTarget(path, 5, false).finish();
    const expected = ['a.img', `a.img.sparsebak-partial-${process.ppid}`, 'a.img.sparsebak-partial-notes'];
    assert.deepEqual(readdirSync(folder).sort(), expected.sort());
  });

  it('G6 is neither a folder nor what cannot be made', async (t) => {
    const folder = scratchFor(t);
    mkdirSync(join(folder, 'sub'));
    assert.throws(() => openTarget(join(folder, 'sub'), 5, true), { code: 'target' });
    assert.throws(() => openTarget(join(folder, 'none/a.img'), 5, false), { code: 'target' });
    assert.throws(() => openTarget('/dev/null', 5, true), { code: 'target' });
  });
});

describe('a device to restore to', { skip: loopFsSkip('ext4') }, () => {
  it('G6 must be large enough, forced, and unused', async (t) => {
    const folder = scratchFor(t);
    const device = loopDevice(t, join(folder, 'image'), 1_048_576, 0x55);
    assert.throws(() => openTarget(device, 1000, false), { code: 'target', message: /exists already/ });
    assert.throws(() => openTarget(device, 1_048_577, true), { code: 'target', message: /has 1048576 bytes/ });
    const target = openTarget(device, 1_048_576, true);
    target.zeros?.(512, 1024);
    await target.finish();
    const image = readFileSync(join(folder, 'image'));
    assert.deepEqual([image[511], image[512], image[1535], image[1536]], [0x55, 0, 0, 0x55]);

    const fs = await mountLoopFs({ type: 'ext4', size: 8 * 2 ** 20 });
    try {
      assert.throws(() => openTarget(fs.device, 1000, true), { code: 'target', message: /in use/ });
    } finally {
      await fs.unmount();
    }
  });

  it('I1 cannot be taken for a whole one when it was given up', async (t) => {
    const folder = scratchFor(t);
    const device = loopDevice(t, join(folder, 'image'), 2_097_152, 0x55);
    await openTarget(device, 2_000_000, true).abandon();
    assert.deepEqual(readFileSync(join(folder, 'image')).subarray(0, 65_536), Buffer.alloc(65_536));
  });
});

function loopDevice(t: TestContext, image: string, size: number, fill: number): string {
  writeFileSync(image, Buffer.alloc(size, fill));
  truncateSync(image, size);
  const { stdout } = spawnSync('losetup', ['--find', '--show', image], { encoding: 'utf8' });
  const device = stdout.trim();
  t.after(() => {
    spawnSync('losetup', ['--detach', device]);
  });
  return device;
}
