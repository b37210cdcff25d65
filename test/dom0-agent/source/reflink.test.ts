import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { RunningState, SnapshotRef } from '../../../dom0-agent/source/source.ts';
import { loopFsSkip, mountLoopFs, withLoopFs, type LoopFs } from '../../fixtures/loop-fs.ts';
import { Random } from '../../fixtures/random.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { contentOf, snapshotOf } from './conformance.ts';
import { withFake } from '../process/fake-program.ts';
import { FolderPool, run } from './folder-pool.ts';
import { assertCovers } from './oracle.ts';
import { limit } from '../../fixtures/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

describe('a reflink pool on XFS', { skip: loopFsSkip('xfs') }, () => {
  let fs: LoopFs;
  before(async () => {
    fs = await mountLoopFs({ type: 'xfs', size: 40 * GIB });
  });
  after(() => fs.unmount());

  function poolFor(t: TestContext, state: RunningState = 'stopped'): FolderPool {
    const path = mkdtempSync(join(fs.dir, 'pool-'));
    t.after(() => {
      rmSync(path, { recursive: true });
    });
    return new FolderPool(path, openSource({ type: 'reflink', path, state }));
  }

  function fileOf(pool: FolderPool, { binding }: SnapshotRef): string {
    return pool.path(`.sparsebak/${String(binding.file)}`);
  }

  it('keeps snapshots where nobody else reads or writes them', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 4096);
    const snapshot = await snapshotOf(pool.source, 'v');
    assert.equal(statSync(pool.path('.sparsebak')).mode & 0o777, 0o700);
    assert.equal(statSync(fileOf(pool, snapshot)).mode & 0o777, 0o400);
    assert.deepEqual(
      (await pool.source.list(['**', '.sparsebak/*', `.sparsebak/${String(snapshot.binding.file)}`], [])).volumes,
      ['v'],
    );
    const own = `.sparsebak/${String(snapshot.binding.file)}`;
    assert.equal((await pool.source.snapshot([own])).get(own)?.ok, false);
  });

  it('captures sparse volumes beyond 2 TiB, odd to the byte, and extents over 16 GiB (L15)', async (t) => {
    const pool = poolFor(t);
    const random = new Random('large');
    pool.create('v', 12 * TIB + 333);
    run('fallocate', '--length', String(17 * GIB), pool.path('v'));
    const tick = await snapshotOf(pool.source, 'v');
    assert.deepEqual(await pool.source.mapped(tick), { kind: 'ranges', ranges: [] });
    const writes = [0, 5 * GIB - 1, 16 * GIB, 2 * TIB - 7, 4 * TIB, 12 * TIB];
    for (const offset of writes) pool.write('v', offset, random.bytes(300));
    const tock = await snapshotOf(pool.source, 'v');
    const delta = await pool.source.delta(tick, tock);
    const mapped = await pool.source.mapped(tock);
    assert.ok(delta.kind === 'ranges' && mapped.kind === 'ranges');
    assert.deepEqual(delta.ranges, mapped.ranges);
    assert.equal(delta.ranges.at(-1)?.offset, 12 * TIB);
    assert.equal(delta.ranges.at(-1)?.length, 333);
    for (const offset of writes) {
      const holds = delta.ranges.some((range) => range.offset <= offset && offset + 300 <= range.offset + range.length);
      assert.ok(holds, `at ${String(offset)}`);
    }
    assert.ok(delta.bytes < MIB);
  });

  it('compares with the file that took the name, whichever it is (L3, L6, L9)', async (t) => {
    const pool = poolFor(t);
    const random = new Random('replaced');
    pool.create('v', 0);
    pool.write('v', 0, random.bytes(MIB));
    const tick = await snapshotOf(pool.source, 'v');
    const old = pool.read('v');
    writeFileSync(pool.path('new'), random.bytes(MIB + 5));
    renameSync(pool.path('new'), pool.path('v'));
    const tock = await snapshotOf(pool.source, 'v');
    const delta = await pool.source.delta(tick, tock);
    assertCovers(delta, pool.read('v'), old, 'replaced');
    assert.ok(delta.kind === 'ranges' && delta.bytes === MIB + 5);
  });

  it('does not take another file of its name for a snapshot, and does not remove it (L3)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 8192);
    const tick = await snapshotOf(pool.source, 'v');
    const tock = await snapshotOf(pool.source, 'v');
    const file = fileOf(pool, tick);
    run('cp', '--reflink=always', '--preserve=all', file, `${file}.copy`);
    renameSync(`${file}.copy`, file);
    assert.equal(await pool.source.exists(tick), false);
    assert.equal((await pool.source.delta(tick, tock)).kind, 'unknown');
    assert.deepEqual(await pool.source.mapped(tick), { kind: 'all' });
    await assert.rejects(pool.source.open(tick), { code: 'source' });
    await pool.source.remove([tick]);
    assert.ok(statSync(file).isFile(), 'the impostor is not ours');
    rmSync(file);
    symlinkSync(fileOf(pool, tock), file);
    assert.equal(await pool.source.exists(tick), false);
    await pool.source.remove([tick]);
    assert.ok(await pool.source.exists(tock));
  });

  it('does not take a snapshot for itself that was written to, but still removes it (L3)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 8192);
    const snapshot = await snapshotOf(pool.source, 'v');
    run('chmod', 'u+w', fileOf(pool, snapshot));
    assert.ok(await pool.source.exists(snapshot));
    pool.write(`.sparsebak/${String(snapshot.binding.file)}`, 0, Buffer.from('x'));
    assert.equal(await pool.source.exists(snapshot), false);
    await pool.source.remove([snapshot]);
    assert.deepEqual(await pool.source.leftovers(), []);
  });

  it('knows a snapshot by the file system and the birth of its inode (L3)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 8192);
    const snapshot = await snapshotOf(pool.source, 'v');
    assert.equal(snapshot.binding.fileSystem, run('findmnt', '-no', 'UUID', '--target', fs.dir).trim());
    for (const key of ['fileSystem', 'inode', 'born']) {
      const other = { ...snapshot, binding: { ...snapshot.binding, [key]: '1' } };
      assert.equal(await pool.source.exists(other), false, key);
      await pool.source.remove([other]);
      assert.ok(await pool.source.exists(snapshot), key);
    }
  });

  it('takes no file of others in its folder for a leftover (S12)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 1);
    const snapshot = await snapshotOf(pool.source, 'v');
    const id = 'a'.repeat(32);
    for (const name of ['x', `${id}.img`, `${id}.other.img`, `.${id}.stopped.img`, `${id}.stopped.img.new`]) {
      writeFileSync(pool.path(`.sparsebak/${name}`), '');
    }
    mkdirSync(pool.path(`.sparsebak/${id}.running.img`));
    const left = await pool.source.leftovers();
    assert.deepEqual(
      left.map((each) => each.id),
      [snapshot.id],
    );
    await pool.source.remove(left);
    assert.equal(readdirSync(pool.path('.sparsebak')).length, 6);
  });

  it('follows no symbolic link, and opens nothing but regular files (S12)', { timeout: limit(20_000) }, async (t) => {
    const pool = poolFor(t);
    const outside = mkdtempSync(join(fs.dir, 'outside-'));
    writeFileSync(join(outside, 'secret.img'), 'secret');
    pool.create('in/v.img', 10);
    symlinkSync(join(outside, 'secret.img'), pool.path('link.img'));
    symlinkSync(outside, pool.path('dir'));
    symlinkSync('in', pool.path('within'));
    run('mkfifo', pool.path('fifo.img'));
    const names = ['link.img', 'dir/secret.img', 'within/v.img', 'fifo.img', 'in', 'in/../in/v.img'];
    assert.deepEqual((await pool.source.list(['**', ...names], [])).volumes, ['in/v.img']);
    for (const [name, outcome] of await pool.source.snapshot(names)) assert.equal(outcome.ok, false, name);
    const alias = join(scratchFor(t), 'alias');
    symlinkSync(pool.folder, alias);
    const other = openSource({ type: 'reflink', path: alias, state: 'stopped' });
    assert.ok((await other.snapshot(['in/v.img'])).get('in/v.img')?.ok, 'the path of the pool itself may be a link');
  });

  describe('of Qubes', () => {
    const volume = 'appvms/office/private.img';

    function qube(t: TestContext, state: RunningState): FolderPool {
      const pool = poolFor(t, state);
      for (const suffix of ['', '-precache', '-dirty']) {
        const name = volume.replace('.img', `${suffix}.img`);
        pool.create(name, 8192);
        pool.write(name, 0, Buffer.from(`content${suffix}`));
      }
      pool.create(`${volume}.17@2026-11-23T02:00:00Z`, 8192);
      pool.create(`${volume}~a1b2c3`, 8192);
      pool.create('appvms/office/volatile-dirty.img', 8192);
      return pool;
    }

    const startOf = async (pool: FolderPool, snapshot: SnapshotRef): Promise<string> =>
      (await contentOf(pool.source, snapshot)).toString('latin1').replace(/\0.*/s, '');

    it('lists the volume, and not what is kept beside it unless it is named', async (t) => {
      const pool = qube(t, 'stopped');
      assert.deepEqual((await pool.source.list(['appvms/*/private*'], [])).volumes, [volume]);
      assert.deepEqual((await pool.source.list(['**'], ['**/volatile*'])).volumes, [volume]);
      const dirty = volume.replace('.img', '-dirty.img');
      assert.deepEqual((await pool.source.list([dirty], [])).volumes, [dirty]);
    });

    it('captures what a running one writes to, if that is asked for (L9)', async (t) => {
      const stopped = await snapshotOf(qube(t, 'stopped').source, volume).then(({ state }) => state);
      assert.equal(stopped, 'stopped');
      const pool = qube(t, 'running');
      const snapshot = await snapshotOf(pool.source, volume);
      assert.equal(snapshot.state, 'running');
      assert.equal(await startOf(pool, snapshot), 'content-dirty');
      assert.deepEqual(
        (await pool.source.leftovers()).map(({ state }) => state),
        ['running'],
      );
    });

    it('captures the same blocks before and after the stop, in one line of snapshots (L9, L17)', async (t) => {
      const pool = qube(t, 'running');
      const tick = await snapshotOf(pool.source, volume);
      renameSync(pool.path(volume.replace('.img', '-dirty.img')), pool.path(volume));
      const tock = await snapshotOf(pool.source, volume);
      assert.equal(tock.state, 'stopped');
      assert.equal(await startOf(pool, tock), 'content-dirty');
      assert.deepEqual(await pool.source.delta(tick, tock), { kind: 'ranges', ranges: [], bytes: 0 });
    });
  });

  it('starts one program for all snapshots, and one for a delta', async (t) => {
    const pool = poolFor(t);
    const names = Array.from({ length: 20 }, (_, i) => `v${String(i)}`);
    for (const name of names) pool.create(name, 8192);
    const scratch = scratchFor(t);
    const counted = (program: string, use: () => Promise<void>): Promise<void> =>
      withFake(
        scratch,
        program,
        `echo ${program} >> ${scratch}/calls; exec /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin ${program} "$@"`,
        use,
      );
    await counted('findmnt', () =>
      counted('chattr', () =>
        counted('filefrag', async () => {
          const ticks = await pool.source.snapshot(names);
          const tocks = await pool.source.snapshot(names);
          const [tick, tock] = [ticks.get('v0'), tocks.get('v0')];
          assert.ok(tick?.ok && tock?.ok);
          assert.equal((await pool.source.delta(tick.value, tock.value)).kind, 'ranges');
          assert.ok(await pool.source.exists(tick.value));
          await pool.source.remove(await pool.source.leftovers());
        }),
      ),
    );
    assert.deepEqual(run('cat', join(scratch, 'calls')).trim().split('\n'), ['findmnt', 'filefrag']);
  });

  it('with a filefrag that is missing, fails, or lies knows nothing, and says why (L1)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 0);
    pool.write('v', 0, new Random('lies').bytes(MIB));
    const tick = await snapshotOf(pool.source, 'v');
    pool.write('v', 5000, Buffer.from('x'));
    const tock = await snapshotOf(pool.source, 'v');
    const scratch = scratchFor(t);
    const real = 'PATH=/usr/sbin:/sbin:/usr/bin:/bin; export PATH; filefrag "$@"';
    const fakes: Record<string, string> = {
      'not there': 'exit 127',
      'silent success': 'exit 0',
      'good output, then a failure': `${real}; exit 1`,
      'killed half-way': `${real} | head -c 400; kill -9 $$`,
      'cut within a line': `${real} | head -c 400`,
      'cut after a line': `${real} | head -n 5`,
      'the last file missing': `${real} | head -n -1`,
      'another language': `${real} | sed 's/extents\\? found/Extents gefunden/'`,
      'an extent missing': `${real} | sed '/^ *0:/d'`,
      'no extents at all': `${real} | sed '/^ /d; s/[0-9]* extents\\? found/0 extents found/'`,
      'a warning in between': `echo 'filefrag: oh' ; ${real}`,
      'one endless line': 'while :; do printf xxxxxxxxxxxxxxxx; done',
      'lines without end': 'yes',
    };
    for (const [name, script] of Object.entries(fakes)) {
      await withFake(scratch, 'filefrag', script, async () => {
        const delta = await pool.source.delta(tick, tock);
        assert.equal(delta.kind, 'unknown', name);
        assert.ok(delta.reason.length > 10, name);
        assert.deepEqual(await pool.source.mapped(tock), { kind: 'all' }, name);
      });
    }
    const flagged = `${real} | sed 's/last,/last,0x100000,/'`;
    const doubtful = await withFake(scratch, 'filefrag', flagged, () => pool.source.delta(tick, tock));
    assert.ok(doubtful.kind === 'ranges' && doubtful.bytes > 0);
    assert.deepEqual(await pool.source.delta(tick, tick), { kind: 'ranges', ranges: [], bytes: 0 }, 'the real one');
  });

  it('with listings that never agree knows nothing (L13)', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 0);
    pool.write('v', 0, Buffer.alloc(4096, 1));
    const tick = await snapshotOf(pool.source, 'v');
    // The second listing of each run has its extent elsewhere.
    const row = (at: number): string =>
      `echo " ext:     logical_offset:        physical_offset: length:   expected: flags:"; echo "   0: 0..4095: ${String(at)}..${String(at + 4095)}: 4096: last,eof"; echo "/proc/self/fd/3: 1 extent found"`;
    const size = 'echo "File size of /proc/self/fd/3 is 4096 (4096 blocks of 1 bytes)"';
    const script = `${size}; ${row(4096)}; ${size}; ${row(8192)}`;
    const mapped = await withFake(scratchFor(t), 'filefrag', script, () => pool.source.mapped(tick));
    assert.deepEqual(mapped, { kind: 'all' });
  });

  it('a pool whose folder is not there fails as a whole: it may not be mounted (S17)', async () => {
    const source = openSource({ type: 'reflink', path: join(fs.dir, 'not-there'), state: 'stopped' });
    await assert.rejects(source.list(['*'], []), { code: 'source' });
    await assert.rejects(source.snapshot(['v']), { code: 'source' });
    await assert.rejects(source.leftovers(), { code: 'source' });
    assert.ok(!readdirSync(fs.dir).includes('not-there'));
  });

  it('times of the volume make no difference', async (t) => {
    const pool = poolFor(t);
    pool.create('v', 4096);
    const tick = await snapshotOf(pool.source, 'v');
    pool.write('v', 0, Buffer.from('x'));
    utimesSync(pool.path('v'), 0, 0);
    const delta = await pool.source.delta(tick, await snapshotOf(pool.source, 'v'));
    assert.deepEqual(delta, { kind: 'ranges', ranges: [{ offset: 0, length: 4096 }], bytes: 4096 });
  });
});

describe('a reflink pool elsewhere', () => {
  it('is refused on a file system without reflinks', { skip: loopFsSkip('ext4') }, async () => {
    await withLoopFs({ type: 'ext4', size: 32 * MIB }, async (path) => {
      writeFileSync(join(path, 'v'), 'x');
      const source = openSource({ type: 'reflink', path, state: 'stopped' });
      await assert.rejects(source.snapshot(['v']), { code: 'config' });
      assert.ok(!readdirSync(path).includes('.sparsebak'));
    });
  });

  it(
    'fails for a volume on another file system, and for an XFS without reflinks',
    { skip: loopFsSkip('xfs') },
    async () => {
      await withLoopFs({ type: 'xfs', size: 512 * MIB, mkfsArgs: ['-m', 'reflink=0'] }, async (path) => {
        writeFileSync(join(path, 'v'), 'x');
        const outcome = (await openSource({ type: 'reflink', path, state: 'stopped' }).snapshot(['v'])).get('v');
        assert.ok(outcome?.ok === false && outcome.error.code === 'source' && outcome.error.hint !== undefined);
      });
    },
  );
});
