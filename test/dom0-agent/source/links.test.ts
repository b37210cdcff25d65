// Symbolic links in pools that are folders, by one rule for both kinds, and folders of others whose names change
// meanwhile.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { Source } from '../../../dom0-agent/source/source.ts';
import { loopFsSkip, mountLoopFs, withLoopFs, type LoopFs } from '../../fixtures/loop-fs.ts';
import { contentOf, snapshotOf } from './conformance.ts';
import { run } from './folder-pool.ts';

const OTHER = 65_534;

for (const type of ['file', 'reflink'] as const) {
  describe(`symbolic links in a pool of type ${type}`, { skip: loopFsSkip('xfs') }, () => {
    let fs: LoopFs;
    before(async () => {
      fs = await mountLoopFs({ type: 'xfs', size: 400 * 2 ** 20 });
    });
    after(() => fs.unmount());

    interface Place {
      readonly pool: string;
      readonly outside: string;
      readonly source: (follow?: boolean) => Source;
      /** What is listed: names, and names with reasons. */
      readonly list: (follow: boolean, ...patterns: string[]) => Promise<[string[], Record<string, string>]>;
    }

    function placeFor(t: TestContext): Place {
      const [pool, outside] = [mkdtempSync(join(fs.dir, 'pool-')), mkdtempSync(join(fs.dir, 'outside-'))];
      t.after(() => {
        for (const folder of [pool, outside]) rmSync(folder, { recursive: true });
      });
      const source = (follow?: boolean): Source => {
        const options = { path: pool, ...(follow === undefined ? {} : { follow_symlinks: follow }) };
        return type === 'file'
          ? openSource({ type, live: false, ...options })
          : openSource({ type, state: 'stopped', ...options });
      };
      const list = async (follow: boolean, ...patterns: string[]): Promise<[string[], Record<string, string>]> => {
        const { volumes, leftOut } = await source(follow).list(patterns, []);
        return [[...volumes], Object.fromEntries(leftOut.map(({ name, reason }) => [name, reason]))];
      };
      return { pool, outside, source, list };
    }

    function link(owner: number, target: string, path: string): void {
      symlinkSync(target, path);
      lchownSync(path, owner, owner);
    }

    async function reasonOf(source: Source, name: string): Promise<string> {
      const outcome = (await source.snapshot([name])).get(name);
      return outcome?.ok === false ? outcome.error.message : 'captured';
    }

    it('are named and not followed, unless the pool says so', async (t) => {
      const { pool, outside, source, list } = placeFor(t);
      writeFileSync(join(pool, 'plain.img'), 'plain');
      writeFileSync(join(outside, 'secret.img'), 'secret');
      link(0, join(outside, 'secret.img'), join(pool, 'link.img'));
      link(0, 'nothing', join(pool, 'dangling.img'));
      link(0, outside, join(pool, 'folder'));
      const isLink = 'it is a symbolic link, and the pool has no follow_symlinks = true';
      const toFolder = 'it is a symbolic link to a folder, and the pool has no follow_symlinks = true';
      const onTheWay = 'a folder on the way to it is a symbolic link, and the pool has no follow_symlinks = true';
      const files = { 'dangling.img': isLink, 'link.img': isLink };
      assert.deepEqual(await list(false, '*.img'), [['plain.img'], files]);
      assert.deepEqual(await list(false, '**'), [['plain.img'], { ...files, folder: toFolder }]);
      assert.deepEqual(await list(false, '*/secret.img'), [[], { folder: toFolder }]);
      assert.deepEqual(await list(false, 'link.img', 'folder/secret.img'), [
        [],
        { 'folder/secret.img': onTheWay, 'link.img': isLink },
      ]);
      for (const by of [source(), source(false)]) {
        for (const name of ['link.img', 'folder/secret.img', 'dangling.img']) {
          assert.match(await reasonOf(by, name), /a symbolic link/, name);
        }
      }
    });

    it('are followed where the pool says so, if root or the owner of the target made them', async (t) => {
      const { pool, outside, source, list } = placeFor(t);
      mkdirSync(join(outside, 'sub'));
      for (const [name, owner] of [
        ['sub/root.img', 0],
        ['sub/other.img', OTHER],
      ] as const) {
        writeFileSync(join(outside, name), name, { mode: 0o600 });
        chownSync(join(outside, name), owner, owner);
      }
      link(0, join(outside, 'sub/root.img'), join(pool, 'a.img'));
      link(0, join(outside, 'sub/other.img'), join(pool, 'b.img'));
      link(OTHER, join(outside, 'sub/root.img'), join(pool, 'c.img'));
      link(OTHER, join(outside, 'sub/other.img'), join(pool, 'd.img'));
      link(0, 'nothing', join(pool, 'e.img'));
      const [volumes, leftOut] = await list(true, '*.img');
      assert.deepEqual(volumes, ['a.img', 'b.img', 'd.img']);
      assert.deepEqual(Object.keys(leftOut), ['c.img', 'e.img']);
      assert.match(leftOut['c.img']!, /not followed: .*c\.img belongs to user 65534, .* belongs to user 0/);
      assert.equal(leftOut['e.img'], 'it is a symbolic link to nothing');
      const by = source(true);
      for (const [name, content] of [
        ['a.img', 'sub/root.img'],
        ['d.img', 'sub/other.img'],
      ] as const) {
        assert.equal((await contentOf(by, await snapshotOf(by, name))).toString(), content);
      }
      assert.match(await reasonOf(by, 'c.img'), /belongs to user 65534/);
      assert.match(await reasonOf(by, 'e.img'), /nothing/);
    });

    it('to folders are entered by globs, and never in a circle', async (t) => {
      const { pool, outside, source, list } = placeFor(t);
      mkdirSync(join(outside, 'q'));
      writeFileSync(join(outside, 'q/private.img'), 'q');
      mkdirSync(join(pool, 'real'));
      link(0, join(outside, 'q'), join(pool, 'q'));
      link(OTHER, outside, join(pool, 'theirs'));
      link(0, '..', join(pool, 'real/up'));
      const [volumes, leftOut] = await list(true, '*/private.img', '**');
      assert.deepEqual(volumes, ['q/private.img']);
      assert.match(leftOut.theirs!, /not followed/);
      assert.equal(leftOut['real/up'], 'it is a symbolic link to a folder that contains it');
      const by = source(true);
      assert.equal((await contentOf(by, await snapshotOf(by, 'q/private.img'))).toString(), 'q');
      chownSync(join(outside, 'q/private.img'), OTHER, OTHER);
      assert.deepEqual((await list(true, 'theirs/q/private.img'))[0], ['theirs/q/private.img']);
    });

    it('that take the name of a volume meanwhile have nothing read that they lead to', async (t) => {
      const { pool, outside, source } = placeFor(t);
      chownSync(pool, OTHER, OTHER);
      writeFileSync(join(outside, 'secret.img'), 'secret', { mode: 0o600 });
      const swap = (): void => {
        renameSync(join(pool, 'v'), join(pool, 'moved'));
        link(OTHER, join(outside, 'secret.img'), join(pool, 'v'));
      };
      const swapFolder = (): void => {
        renameSync(join(pool, 'sub'), join(pool, 'was'));
        link(OTHER, outside, join(pool, 'sub'));
      };
      for (const [name, act] of [
        ['v', swap],
        ['sub/secret.img', swapFolder],
      ] as const) {
        for (const follow of [false, true]) {
          mkdirSync(join(pool, 'sub'), { recursive: true });
          writeFileSync(join(pool, name), 'theirs');
          const by = source(follow);
          const snapshot = await snapshotOf(by, name);
          const opened = await by.open(snapshot);
          act();
          assert.equal(readFileSync(opened.path, 'utf8'), 'theirs');
          // A snapshot is what it was; a file that is read where it lies has gone from its name.
          if (type === 'file') await assert.rejects(opened.close(), { code: 'source' });
          else await opened.close();
          assert.match(await reasonOf(by, name), /symbolic link|there is no such file/);
          for (const left of readdirSync(pool)) {
            if (left !== '.sparsebak') rmSync(join(pool, left), { recursive: true });
          }
        }
      }
    });
  });
}

describe('the folder of snapshots in a pool of others', { skip: loopFsSkip('xfs') }, () => {
  let fs: LoopFs;
  before(async () => {
    fs = await mountLoopFs({ type: 'xfs', size: 400 * 2 ** 20 });
  });
  after(() => fs.unmount());

  function poolFor(): { pool: string; source: Source } {
    const pool = mkdtempSync(join(fs.dir, 'pool-'));
    writeFileSync(join(pool, 'v'), 'content');
    chownSync(pool, OTHER, OTHER);
    return { pool, source: openSource({ type: 'reflink', path: pool, state: 'stopped' }) };
  }

  it('is no link, no folder of theirs, and nobody else may look into it', async () => {
    const { pool, source } = poolFor();
    const own = join(pool, '.sparsebak');
    const ours = mkdtempSync(join(fs.dir, 'ours-'));
    symlinkSync(ours, own);
    await assert.rejects(source.snapshot(['v']), {
      code: 'source',
      message: /\.sparsebak is not a folder of this user/,
    });
    await assert.rejects(source.leftovers(), { code: 'source' });
    assert.deepEqual(readdirSync(ours), []);
    rmSync(own);
    mkdirSync(own);
    chownSync(own, OTHER, OTHER);
    await assert.rejects(source.snapshot(['v']), { code: 'source', hint: /chown/ });
    assert.deepEqual(readdirSync(own), []);
    chownSync(own, 0, 0);
    chmodSync(own, 0o777);
    assert.equal((await contentOf(source, await snapshotOf(source, 'v'))).toString(), 'content');
    assert.equal(statSync(own).mode & 0o777, 0o700);
  });

  it('stays the one that it was when another takes its name', async () => {
    const { pool, source } = poolFor();
    const snapshot = await snapshotOf(source, 'v');
    const opened = await source.open(snapshot);
    renameSync(join(pool, '.sparsebak'), join(pool, 'moved'));
    mkdirSync(join(pool, '.sparsebak'), 0o700);
    writeFileSync(join(pool, '.sparsebak', String(snapshot.binding.file)), 'forged!');
    chownSync(join(pool, '.sparsebak'), OTHER, OTHER);
    assert.equal(readFileSync(opened.path, 'utf8'), 'content');
    await assert.rejects(opened.close(), { code: 'source' });
    await assert.rejects(source.open(snapshot), { code: 'source' });
    assert.equal(await source.exists(snapshot).catch(() => false), false);
    await assert.rejects(source.remove([snapshot]), { code: 'source' });
    assert.ok(existsSync(join(pool, '.sparsebak', String(snapshot.binding.file))));
  });

  it('cannot be made where the pool is read-only, and that is what is said (S5)', async () => {
    await withLoopFs({ type: 'xfs', size: 400 * 2 ** 20 }, async (pool) => {
      writeFileSync(join(pool, 'v'), 'content');
      const source = openSource({ type: 'reflink', path: pool, state: 'stopped' });
      run('mount', '-o', 'remount,ro', pool);
      await assert.rejects(source.snapshot(['v']), {
        code: 'source',
        message: /read-only/,
        hint: /Mount the pool writable/,
      });
      run('mount', '-o', 'remount,rw', pool);
      await snapshotOf(source, 'v');
      run('mount', '-o', 'remount,ro', pool);
      const outcome = (await source.snapshot(['v'])).get('v');
      assert.ok(outcome?.ok === false);
      assert.match(outcome.error.message, /read-only/);
      assert.match(outcome.error.hint ?? '', /Mount it writable/);
      run('mount', '-o', 'remount,rw', pool);
    });
  });
});
