import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, it, type TestContext } from 'node:test';
import { settledState } from '../../../dom0-agent/source/live-file.ts';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { Source } from '../../../dom0-agent/source/source.ts';
import { loopFsSkip, withLoopFs } from '../../fixtures/loop-fs.ts';
import { Random } from '../../fixtures/random.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { contentOf, snapshotOf } from './conformance.ts';
import { withFake } from '../process/fake-program.ts';
import { FolderPool, run } from './folder-pool.ts';
import { limit } from '../../fixtures/limits.ts';

const MIB = 1024 * 1024;
const skip = loopFsSkip('ext4');

function filesIn(path: string, live = false): Source {
  return openSource({ type: 'file', path, live });
}

/** A loop device on a file of its own. */
function deviceFor(t: TestContext, size: number, ...options: string[]): string {
  const image = join(scratchFor(t), 'image');
  writeFileSync(image, '');
  truncateSync(image, size);
  const device = run('losetup', '--find', '--show', ...options, image).trim();
  t.after(() => {
    run('losetup', '--detach', device);
  });
  return device;
}

function writeTo(device: string): void {
  const fd = openSync(device, 'r+');
  writeSync(fd, Buffer.alloc(4096, 1));
  closeSync(fd);
  run('blockdev', '--flushbufs', device);
}

describe('a pool of files', () => {
  it('follows links if it is told to, for that is how devices are named', async (t) => {
    const folder = scratchFor(t);
    const pool = new FolderPool(folder, openSource({ type: 'file', path: folder, live: false, follow_symlinks: true }));
    pool.create('real', 0);
    pool.write('real', 0, new Random('link').bytes(9999));
    symlinkSync('real', join(folder, 'link'));
    assert.deepEqual((await pool.source.list(['*'], [])).volumes, ['link', 'real']);
    assert.deepEqual(await contentOf(pool.source, await snapshotOf(pool.source, 'link')), pool.read('real'));
  });

  it('notices a write that puts size and time of modification back', async (t) => {
    const folder = scratchFor(t);
    const pool = new FolderPool(folder, filesIn(folder));
    pool.create('v', 4096);
    utimesSync(pool.path('v'), 1000, 1000);
    const opened = await pool.source.open(await snapshotOf(pool.source, 'v'));
    pool.write('v', 9, Buffer.from('x'));
    utimesSync(pool.path('v'), 1000, 1000);
    await assert.rejects(opened.close(), { code: 'source' });
  });

  it('notices a write within the same tick of the clock as the one before', async (t) => {
    const folder = scratchFor(t);
    const pool = new FolderPool(folder, filesIn(folder));
    for (let i = 0; i < 10; i++) {
      pool.create('v', 4096);
      pool.write('v', 0, Buffer.from('a'));
      const opened = await pool.source.open(await snapshotOf(pool.source, 'v'));
      pool.write('v', 0, Buffer.from('b'));
      await assert.rejects(opened.close(), { code: 'source' });
    }
  });

  it('does not take a file that is being written to, or fails when it was read', async (t) => {
    const folder = scratchFor(t);
    const source = filesIn(folder);
    writeFileSync(join(folder, 'v'), '');
    const script = `while :; do echo x >> '${join(folder, 'v')}'; sleep 0.01; done`;
    const writer = spawn('sh', ['-c', script], { stdio: 'ignore' });
    try {
      const outcome = (await source.snapshot(['v'])).get('v');
      if (outcome?.ok !== true) {
        assert.match(outcome?.error.message ?? '', /being written to/);
        return;
      }
      // On a busy machine the writer may pause just long enough to look as if it had ended.
      const readToEnd = async (): Promise<void> => {
        const opened = await source.open(outcome.value);
        while (readFileSync(opened.path).length === outcome.value.size) await delay(10);
        await opened.close();
      };
      await assert.rejects(readToEnd(), { code: 'source' });
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'exit');
    }
  });

  it('waits until the time of a change is one that no further write can have', async (t) => {
    const path = join(scratchFor(t), 'v');
    for (let i = 0; i < 5; i++) {
      writeFileSync(path, 'x');
      const handle = await open(path);
      const { changed } = await settledState(handle, 'v');
      await handle.close();
      assert.ok(Date.now() - Number(BigInt(changed) / 1_000_000n) >= 50);
    }
  });

  it('notices what is written through a mapping that was there before', async (t) => {
    const folder = scratchFor(t);
    const pool = new FolderPool(folder, filesIn(folder));
    pool.create('v', 8192);
    const mapper = spawn('xfs_io', [pool.path('v')], { stdio: ['pipe', 'ignore', 'ignore'] });
    const say = async (command: string, marker: string): Promise<void> => {
      mapper.stdin.write(`${command}\n`);
      while (!pool.read('v').includes(marker)) await delay(10);
    };
    mapper.stdin.write('mmap -rw 0 8192\n');
    await say('mwrite -S 0x41 100 1', 'A');
    const opened = await pool.source.open(await snapshotOf(pool.source, 'v'));
    await say('mwrite -S 0x42 101 1', 'B');
    await assert.rejects(opened.close(), { code: 'source' });
    mapper.stdin.end('quit\n');
    await once(mapper, 'exit');
  });

  it('takes neither folders nor FIFOs, and does not wait for them', { timeout: limit(20_000) }, async (t) => {
    const folder = scratchFor(t);
    run('mkdir', join(folder, 'folder'));
    run('mkfifo', join(folder, 'fifo'));
    const source = filesIn(folder);
    assert.deepEqual((await source.list(['*', 'folder', 'fifo'], [])).volumes, []);
    for (const [name, outcome] of await source.snapshot(['folder', 'fifo'])) assert.equal(outcome.ok, false, name);
  });

  it('reads all where filefrag is no help (L1)', async (t) => {
    const folder = scratchFor(t);
    const pool = new FolderPool(folder, filesIn(folder));
    pool.create('v', MIB);
    const snapshot = await snapshotOf(pool.source, 'v');
    assert.deepEqual(await pool.source.mapped(snapshot), { kind: 'ranges', ranges: [] });
    const bin = scratchFor(t);
    const mapped = await withFake(bin, 'filefrag', 'exit 1', () => pool.source.mapped(snapshot));
    assert.deepEqual(mapped, { kind: 'all' });
    pool.write('v', 0, Buffer.from('x'));
    assert.deepEqual(await pool.source.mapped(snapshot), { kind: 'all' }, 'the file changed since');
  });
});

describe('a pool of devices', { skip }, () => {
  it('reads a device of odd size to its end (L15)', async (t) => {
    const device = deviceFor(t, 5 * MIB + 512);
    const fd = openSync(device, 'r+');
    writeSync(fd, new Random('device').bytes(MIB), 0, MIB, 4 * MIB + 512);
    closeSync(fd);
    const source = filesIn('/dev');
    assert.deepEqual((await source.list([basename(device)], [])).volumes, [basename(device)]);
    const snapshot = await snapshotOf(source, basename(device));
    assert.equal(snapshot.size, 5 * MIB + 512);
    assert.deepEqual(await source.mapped(snapshot), { kind: 'all' });
    assert.equal((await source.delta(snapshot, snapshot)).kind, 'unknown');
    assert.deepEqual(await contentOf(source, snapshot), readFileSync(device));
    assert.equal(await source.exists(snapshot), false);
  });

  it('knows the size of a partition, and by which name ever it is asked', async (t) => {
    const device = deviceFor(t, 64 * MIB, '--partscan');
    run('addpart', device, '1', '2048', '20001');
    const number = readFileSync(`/sys/class/block/${basename(device)}/${basename(device)}p1/dev`, 'utf8').trim();
    const node = join(scratchFor(t), 'partition');
    run('mknod', node, 'b', ...number.split(':'));
    const folder = join(node, '..');
    const snapshot = await snapshotOf(filesIn(folder), 'partition');
    assert.equal(snapshot.size, 20001 * 512);
    assert.equal((await contentOf(filesIn(folder), snapshot)).length, 20001 * 512);
    const writer = openSync(device, 'r+');
    t.after(() => {
      closeSync(writer);
    });
    const outcome = (await filesIn(folder).snapshot(['partition'])).get('partition');
    assert.ok(
      outcome?.ok === false && outcome.error.message.includes('open for writing'),
      'the disk is open for writing',
    );
  });

  it('refuses one that is mounted, unless it may be live', async () => {
    await withLoopFs({ type: 'ext4', size: 16 * MIB }, async (_dir, { device }) => {
      const name = basename(device);
      const outcome = (await filesIn('/dev').snapshot([name])).get(name);
      assert.ok(outcome?.ok === false && outcome.error.code === 'source');
      assert.match(outcome.error.hint ?? '', /live = true/);
      const live = filesIn('/dev', true);
      assert.equal((await contentOf(live, await snapshotOf(live, name))).length, 16 * MIB);
    });
  });

  it(
    'refuses one of a mounted Btrfs, whose device number is not that of the mount',
    { skip: loopFsSkip('btrfs') },
    async () => {
      await withLoopFs({ type: 'btrfs', size: 128 * MIB }, async (_dir, { device }) => {
        const name = basename(device);
        assert.equal((await filesIn('/dev').snapshot([name])).get(name)?.ok, false);
      });
    },
  );

  it('refuses one that a process has open for writing, and says which', async (t) => {
    const device = deviceFor(t, MIB);
    const writer = spawn('sh', ['-c', `exec 3<>${device}; echo ready; read line`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(writer.stdout, 'data');
    const outcome = (await filesIn('/dev').snapshot([basename(device)])).get(basename(device));
    assert.ok(outcome?.ok === false && outcome.error.message.includes(`process ${String(writer.pid)} (sh)`));
    writer.stdin.end();
    await once(writer, 'exit');
    assert.ok((await filesIn('/dev').snapshot([basename(device)])).get(basename(device))?.ok);
    const reader = openSync(device, 'r');
    assert.ok((await filesIn('/dev').snapshot([basename(device)])).get(basename(device))?.ok, 'reading harms nothing');
    closeSync(reader);
  });

  it('refuses one under a loop device that may be written', async (t) => {
    const device = deviceFor(t, MIB);
    const above = run('losetup', '--find', '--show', device).trim();
    const refused = (await filesIn('/dev').snapshot([basename(device)])).get(basename(device));
    run('losetup', '--detach', above);
    assert.ok(refused?.ok === false && refused.error.message.includes(above));
    const readOnly = run('losetup', '--find', '--show', '--read-only', device).trim();
    const taken = (await filesIn('/dev').snapshot([basename(device)])).get(basename(device));
    run('losetup', '--detach', readOnly);
    assert.ok(taken?.ok);
  });

  it('fails when it was written to while it was read, and not where it may be live', async (t) => {
    const device = deviceFor(t, MIB);
    const [strict, live] = [filesIn('/dev'), filesIn('/dev', true)];
    const opened = await strict.open(await snapshotOf(strict, basename(device)));
    writeTo(device);
    await assert.rejects(opened.close(), { code: 'source' });
    const before = await snapshotOf(strict, basename(device));
    writeTo(device);
    await assert.rejects(strict.open(before), { code: 'source' });
    const openedLive = await live.open(await snapshotOf(live, basename(device)));
    writeTo(device);
    await openedLive.close();
  });

  it('keeps it from being mounted while it is read', async (t) => {
    const device = deviceFor(t, 16 * MIB);
    run('mkfs.ext4', '-q', '-F', device);
    run('blockdev', '--flushbufs', device);
    const folder = join(scratchFor(t), 'mnt');
    mkdirSync(folder);
    const opened = await filesIn('/dev').open(await snapshotOf(filesIn('/dev'), basename(device)));
    assert.throws(() => run('mount', device, folder));
    await opened.close();
    run('mount', device, folder);
    run('umount', folder);
  });

  it('fails when another was attached in its place', async (t) => {
    const device = deviceFor(t, MIB);
    const snapshot = await snapshotOf(filesIn('/dev'), basename(device));
    run('losetup', '--detach', device);
    const image = join(scratchFor(t), 'other');
    writeFileSync(image, Buffer.alloc(MIB));
    run('losetup', device, image);
    await assert.rejects(filesIn('/dev').open(snapshot), { code: 'source' });
  });
});
