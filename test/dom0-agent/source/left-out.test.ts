// What a pattern matches in a pool's folder and cannot be taken: each is named once, with its reason.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import { loopFsSkip, withLoopFs } from '../../fixtures/loop-fs.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { run } from './folder-pool.ts';

/** A name that is not UTF-8, below a folder. */
const bytes = (folder: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);

describe('a folder in which not everything is a volume', () => {
  function poolFor(t: TestContext) {
    const folder = scratchFor(t);
    const source = openSource({ type: 'file', path: folder, live: false });
    writeFileSync(join(folder, 'a.img'), 'a');
    const list = async (patterns: string[], excludes: string[] = []) => {
      const { volumes, leftOut } = await source.list(patterns, excludes);
      return { volumes, leftOut: Object.fromEntries(leftOut.map(({ name, reason }) => [name, reason])) };
    };
    return { folder, list };
  }

  it('names what is not UTF-8, and whatever lies in a folder of such a name (L17)', async (t) => {
    const { folder, list } = poolFor(t);
    writeFileSync(bytes(folder, 'b\xff.img'), 'b');
    mkdirSync(bytes(folder, 'caf\xe9'));
    writeFileSync(bytes(folder, 'caf\xe9/private.img'), 'c');
    mkdirSync(join(folder, 'é'));
    writeFileSync(bytes(join(folder, 'é'), '\xe9.img'), 'd');
    const reason = 'its name is not UTF-8';
    const all = { 'b\\xff.img': reason, 'caf\\xe9/private.img': reason, 'é/\\xe9.img': reason };
    assert.deepEqual(await list(['**']), { volumes: ['a.img'], leftOut: all });
    assert.deepEqual(await list(['*.img', '*/*.img']), { volumes: ['a.img'], leftOut: all });
    assert.deepEqual(await list(['*/private.img']), { volumes: [], leftOut: { 'caf\\xe9/private.img': reason } });
    assert.deepEqual(await list(['**'], ['caf*/**', 'é/\\xe9.img', 'b?.img']), { volumes: ['a.img'], leftOut: {} });
  });

  it('names folders, FIFOs, sockets and devices that a glob matches or the configuration names', async (t) => {
    const { folder, list } = poolFor(t);
    mkdirSync(join(folder, 'sub.img'));
    writeFileSync(join(folder, 'sub.img/b.img'), 'b');
    mkdirSync(join(folder, 'lost+found'));
    run('mkfifo', join(folder, 'fifo'));
    run('mknod', join(folder, 'null'), 'c', '1', '3');
    const server = createServer().listen(join(folder, 'socket'));
    t.after(() => server.close());
    const { volumes, leftOut } = await list(['*']);
    assert.deepEqual([volumes, Object.keys(leftOut)], [['a.img'], ['fifo', 'null', 'socket', 'sub.img']]);
    assert.match(leftOut.fifo!, /a FIFO/);
    assert.match(leftOut.null!, /a character device/);
    assert.match(leftOut.socket!, /a socket/);
    assert.match(leftOut['sub.img']!, /a folder.*"sub\.img\/\*"/);
    assert.deepEqual(Object.keys((await list(['*.img', '**/b.img', 'sub.img', 'a.img/x'])).leftOut), ['sub.img']);
    for (const covered of [
      ['*.img', '*/*.img'],
      ['**.img', 'sub.img/b.img'],
    ]) {
      assert.deepEqual((await list(covered)).leftOut, {}, 'what is in it has a pattern of its own');
    }
    assert.deepEqual((await list(['*.img'], ['sub.img/**'])).leftOut, {}, 'or an exclude');
    assert.deepEqual((await list(['*.img'], ['sub.img'])).leftOut, {});
    assert.deepEqual(Object.keys((await list(['../a.img', '/a.img', 'x//y'])).leftOut), ['../a.img', '/a.img', 'x//y']);
  });

  it('names a folder that cannot be read', { skip: process.getuid?.() !== 0 && 'machine: not root' }, async (t) => {
    const { folder } = poolFor(t);
    chmodSync(join(folder, '..'), 0o755);
    for (const name of ['closed', 'open']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'closed/b.img'), 'b');
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'closed'), 0o700);
    const script = `
      const { openSource } = await import(${JSON.stringify(new URL('../../../dom0-agent/source/open-source.ts', import.meta.url))});
      const source = openSource({ type: 'file', path: process.argv[1], live: false });
      const listed = [];
      for (const patterns of [['**'], ['*/*.img'], ['*.img'], ['closed/b.img']]) listed.push(await source.list(patterns, []));
      console.log(JSON.stringify(listed));`;
    const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--'];
    const out = run('setpriv', ...nobody, process.execPath, '--input-type=module', '-e', script, folder);
    const reason = 'the folder cannot be read (EACCES)';
    assert.deepEqual(JSON.parse(out), [
      { volumes: ['a.img'], leftOut: [{ name: 'closed', reason }] },
      { volumes: [], leftOut: [{ name: 'closed', reason }] },
      { volumes: ['a.img'], leftOut: [] },
      { volumes: [], leftOut: [{ name: 'closed/b.img', reason: 'it cannot be examined (EACCES)' }] },
    ]);
  });

  it('names a block device in a pool of reflinks', { skip: loopFsSkip('xfs') }, async () => {
    await withLoopFs({ type: 'xfs', size: 2 ** 29 }, async (folder, { device }) => {
      const source = openSource({ type: 'reflink', path: folder, state: 'stopped' });
      const [major = '', minor = ''] = run('lsblk', '-ndo', 'MAJ:MIN', device).trim().split(':');
      run('mknod', join(folder, 'disk.img'), 'b', major, minor);
      const { volumes, leftOut } = await source.list(['*'], []);
      assert.deepEqual([volumes, leftOut.map(({ name }) => name)], [[], ['disk.img']]);
      assert.match(leftOut[0]!.reason, /a block device/);
      rmSync(join(folder, 'disk.img'));
    });
  });
});
