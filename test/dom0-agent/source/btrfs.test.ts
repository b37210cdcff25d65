import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import { loopFsSkip, mountLoopFs, withLoopFs, type LoopFs } from '../../fixtures/loop-fs.ts';
import { Random } from '../../fixtures/random.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { contentOf, snapshotOf } from './conformance.ts';
import { withFake } from '../process/fake-program.ts';
import { FolderPool, run } from './folder-pool.ts';
import { assertCovers } from './oracle.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const skip = loopFsSkip('btrfs');

function poolIn(fs: LoopFs): FolderPool {
  const path = mkdtempSync(join(fs.dir, 'pool-'));
  return new FolderPool(path, openSource({ type: 'reflink', path, state: 'stopped' }));
}

describe('Btrfs', { skip }, () => {
  let fs: LoopFs;
  before(async () => {
    fs = await mountLoopFs({ type: 'btrfs', size: GIB });
  });
  after(() => fs.unmount());

  it('inline extents count as changed and mapped (L20)', async () => {
    const pool = poolIn(fs);
    writeFileSync(pool.path('tiny'), 'hello');
    const tick = await snapshotOf(pool.source, 'tiny');
    pool.write('tiny', 0, Buffer.from('HELLO'));
    const tock = await snapshotOf(pool.source, 'tiny');
    assert.deepEqual(await pool.source.delta(tick, tock), {
      kind: 'ranges',
      ranges: [{ offset: 0, length: 5 }],
      bytes: 5,
    });
    assert.deepEqual(await pool.source.mapped(tock), { kind: 'ranges', ranges: [{ offset: 0, length: 5 }] });
  });

  it('unwritten extents are zeros, before and after they are written (L14)', async () => {
    const pool = poolIn(fs);
    pool.create('v', 8 * MIB);
    run('fallocate', '--length', String(4 * MIB), pool.path('v'));
    const tick = await snapshotOf(pool.source, 'v');
    assert.deepEqual(await pool.source.mapped(tick), { kind: 'ranges', ranges: [] });
    pool.write('v', MIB, Buffer.alloc(4096, 1));
    const tock = await snapshotOf(pool.source, 'v');
    const expected = { kind: 'ranges', ranges: [{ offset: MIB, length: 4096 }] };
    assert.deepEqual(await pool.source.delta(tick, tock), { ...expected, bytes: 4096 });
    assert.deepEqual(await pool.source.mapped(tock), expected);
  });

  describe('NOCOW files (L12)', () => {
    function nocowPool(): FolderPool {
      const pool = poolIn(fs);
      pool.create('v', 0);
      run('chattr', '+C', pool.path('v'));
      pool.write('v', 0, new Random('nocow').bytes(MIB));
      return pool;
    }

    it('are snapshotted, and their deltas are exact', async () => {
      const pool = nocowPool();
      const tick = await snapshotOf(pool.source, 'v');
      assert.match(run('lsattr', pool.path(`.sparsebak/${String(tick.binding.file)}`)), /^-*C/);
      const before = pool.read('v');
      pool.write('v', 300_000, Buffer.alloc(100, 7));
      const tock = await snapshotOf(pool.source, 'v');
      const delta = await pool.source.delta(tick, tock);
      assert.deepEqual(await contentOf(pool.source, tick), before);
      assert.ok(assertCovers(delta, pool.read('v'), before, 'nocow') > 0);
      assert.ok(delta.kind === 'ranges' && delta.bytes <= 64 * KIB);
    });

    it('are snapshotted together with others, with one start of chattr', async (t) => {
      const pool = nocowPool();
      pool.create('cow', 0);
      pool.write('cow', 0, Buffer.alloc(9999, 3));
      for (const name of ['n1', 'n2', 'n3']) run('cp', '-a', '--reflink=never', pool.path('v'), pool.path(name));
      const scratch = scratchFor(t);
      const script = `echo "$@" >> ${scratch}/calls; exec /usr/bin/chattr "$@"`;
      const outcomes = await withFake(scratch, 'chattr', script, () =>
        pool.source.snapshot(['v', 'cow', 'n1', 'n2', 'n3']),
      );
      for (const [name, outcome] of outcomes) assert.ok(outcome.ok && outcome.value.binding.live === undefined, name);
      assert.equal(run('wc', '-l', join(scratch, 'calls')).split(' ')[0], '1');
    });

    it('in a folder whose files are all NOCOW, those that are not are snapshotted too', async () => {
      const pool = poolIn(fs);
      pool.create('v', 0);
      pool.write('v', 0, Buffer.alloc(MIB, 9));
      run('mkdir', pool.path('.sparsebak'));
      run('chattr', '+C', pool.path('.sparsebak'));
      const snapshot = await snapshotOf(pool.source, 'v');
      assert.equal(snapshot.binding.live, undefined);
      assert.deepEqual(await contentOf(pool.source, snapshot), pool.read('v'));
    });

    it('are read where they lie only if the attribute cannot be had, and then must not change', async (t) => {
      const pool = nocowPool();
      const content = pool.read('v');
      const snapshot = await withFake(scratchFor(t), 'chattr', 'exit 1', () => snapshotOf(pool.source, 'v'));
      assert.equal(snapshot.binding.live, 'v');
      assert.equal(snapshot.size, MIB);
      assert.deepEqual(readdirSync(pool.path('.sparsebak')), [], 'nothing stays behind');
      assert.deepEqual(await pool.source.leftovers(), []);
      assert.deepEqual(await contentOf(pool.source, snapshot), content);
      assert.deepEqual(await pool.source.mapped(snapshot), { kind: 'all' });
      const frozen = await snapshotOf(pool.source, 'v');
      assert.equal((await pool.source.delta(snapshot, frozen)).kind, 'unknown');
      assert.equal((await pool.source.delta(frozen, snapshot)).kind, 'unknown');
      await pool.source.remove([snapshot]);
      assert.deepEqual(pool.read('v'), content, 'removing the snapshot leaves the volume');
      assert.ok(await pool.source.exists(snapshot));
      const opened = await pool.source.open(snapshot);
      pool.write('v', 5, Buffer.from('x'));
      await assert.rejects(opened.close(), { code: 'source' });
      assert.equal(await pool.source.exists(snapshot), false);
    });
  });

  it('a balance and a defragmentation between snapshots only make the delta larger (L13)', async () => {
    const pool = poolIn(fs);
    const random = new Random('between');
    pool.create('v', 0);
    pool.write('v', 0, random.bytes(20 * MIB));
    const tick = await snapshotOf(pool.source, 'v');
    const before = pool.read('v');
    pool.write('v', 12345, random.bytes(77));
    run('btrfs', 'balance', 'start', '--full-balance', fs.dir);
    const tock = await snapshotOf(pool.source, 'v');
    run('btrfs', 'filesystem', 'defragment', '-r', '-f', pool.folder);
    const last = await snapshotOf(pool.source, 'v');
    const after = pool.read('v');
    assertCovers(await pool.source.delta(tick, tock), after, before, 'balance');
    assertCovers(await pool.source.delta(tick, last), after, before, 'defragmentation');
    assert.deepEqual(await contentOf(pool.source, tick), before);
    assert.ok(await pool.source.exists(tick), 'moving its extents leaves it the same snapshot');
  });
});

describe('Btrfs while extents are moved', { skip }, () => {
  it('no delta is wrong, and some are known (L13)', async () => {
    await withLoopFs({ type: 'btrfs', size: 2 * GIB }, async (dir) => {
      const pool = new FolderPool(dir, openSource({ type: 'reflink', path: dir, state: 'stopped' }));
      const random = new Random('moved');
      pool.create('v', 0);
      pool.write('v', 0, random.bytes(24 * MIB));
      let busy = true;
      let balances = 0;
      const balance = async (): Promise<void> => {
        const start = promisify(execFile);
        while (busy) {
          await start('btrfs', ['balance', 'start', '--full-balance', dir]).catch(() => undefined);
          await start('btrfs', ['filesystem', 'defragment', '-f', pool.path('v')]);
          balances += 1;
        }
      };
      const balancing = balance();
      let known = 0;
      try {
        let tick = await snapshotOf(pool.source, 'v');
        const until = Date.now() + 6_000;
        while (Date.now() < until) {
          for (let i = 0; i < 100; i++) pool.write('v', random.int(24 * MIB), random.bytes(random.between(1, 9000)));
          const tock = await snapshotOf(pool.source, 'v');
          const delta = await pool.source.delta(tick, tock);
          const [before, now] = [await contentOf(pool.source, tick), await contentOf(pool.source, tock)];
          assertCovers(delta, now, before, 'under balance');
          assertCovers(await pool.source.mapped(tock), now, Buffer.alloc(0), 'mapped under balance');
          if (delta.kind === 'ranges') known += 1;
          await pool.source.remove([tick]);
          tick = tock;
        }
      } finally {
        busy = false;
        await balancing;
      }
      assert.ok(known > 0 && balances > 0, `${String(known)} deltas known, ${String(balances)} balances`);
    });
  });
});

describe('compressed Btrfs', { skip }, () => {
  it('files of different content can have one and the same listing: encoded extents are never equal (L20)', async () => {
    await withLoopFs({ type: 'btrfs', size: GIB, mountOptions: ['compress-force=zstd'] }, async (dir) => {
      const pool = new FolderPool(dir, openSource({ type: 'reflink', path: dir, state: 'stopped' }));
      const random = new Random('encoded');
      // 128 KiB that compress to about 64, so that what is written over its second half next lies where the kernel
      // takes it for the rest of the first.
      let alike = 0;
      for (let noise = 56; noise <= 66; noise++) {
        const name = `v${String(noise)}`;
        pool.create(name, 0);
        pool.write(name, 0, Buffer.concat([random.bytes(noise * KIB), Buffer.alloc((128 - noise) * KIB)]));
        pool.sync(name);
        const tick = await snapshotOf(pool.source, name);
        const before = pool.read(name);
        run('sync', '--file-system', dir);
        pool.write(name, 64 * KIB, Buffer.concat([random.bytes(20 * KIB), Buffer.alloc(44 * KIB)]));
        const tock = await snapshotOf(pool.source, name);
        const delta = await pool.source.delta(tick, tock);
        assert.ok(delta.kind === 'ranges');
        assert.ok(assertCovers(delta, pool.read(name), before, name) < 128 * KIB);
        if (listing(pool, tick.binding.file) === listing(pool, tock.binding.file)) alike += 1;
      }
      assert.ok(statSync(pool.path('v60')).size === 128 * KIB);
      console.log(`${String(alike)} pairs of different files had the same listing`);
    });
  });

  function listing(pool: FolderPool, file: unknown): string {
    const lines = run('filefrag', '-v', '-b1', pool.path(`.sparsebak/${String(file)}`)).split('\n');
    return lines.filter((line) => /^ +\d+:/.test(line)).join('\n');
  }
});
