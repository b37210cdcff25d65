// The archive and dom0's state never lie in a pool, whatever way leads there.

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readConfig } from '../../../dom0-agent/config/config.ts';
import { misplacedFolder } from '../../../dom0-agent/capture/misplaced-folder.ts';
import { findUnmounted, parseMounts } from '../../../dom0-agent/source/mounts.ts';
import { loopFsSkip, withLoopFs } from '../../fixtures/loop-fs.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { run } from '../source/folder-pool.ts';

async function misplaced(folder: string, { root = '', state = '', pool = '', type = 'file' }) {
  const file = join(folder, 'sparsebak.toml');
  const text = (value: string) => JSON.stringify(value);
  const head = `destination = ${text(`local:${root}`)}\narchive = "laptop"\nstate_dir = ${text(state)}\n`;
  writeFileSync(file, `${head}[pool.p]\ntype = ${text(type)}\npath = ${text(pool)}\nvolumes = ["*"]\n`);
  return (await misplacedFolder(readConfig(file)))?.message.replace(`${file}: `, '');
}

describe('a pool', () => {
  it('holds neither the archive nor the state, nor do they hold it', async (t) => {
    const folder = scratchFor(t);
    const at = (...names: string[]) => join(folder, ...names);
    mkdirSync(at('srv/images'), { recursive: true });
    const apart = { root: at('srv/backup'), state: at('state'), pool: at('srv/images') };
    assert.equal(await misplaced(folder, apart), undefined);
    for (const type of ['file', 'reflink']) {
      const message = await misplaced(folder, { ...apart, pool: at('srv'), type });
      assert.equal(
        message,
        `the archive "laptop" (${at('srv/backup/laptop')}) and pool.p (${at('srv')}) contain one another`,
      );
    }
    assert.match((await misplaced(folder, { ...apart, root: at('srv/images') })) ?? '', /^the archive "laptop"/);
    assert.match((await misplaced(folder, { ...apart, pool: at('srv/backup/laptop/volumes') })) ?? '', /^the archive/);
    assert.equal(await misplaced(folder, { ...apart, pool: at('srv/backup/images') }), undefined, 'beside the archive');
    assert.match(
      (await misplaced(folder, { ...apart, state: at('srv/images/.state') })) ?? '',
      /sparsebak's state folder/,
    );
    assert.match((await misplaced(folder, { ...apart, pool: at('state/volumes') })) ?? '', /sparsebak's state folder/);
    assert.equal(
      await misplaced(folder, { ...apart, pool: at('srv/images-too') }),
      undefined,
      'a name that begins alike',
    );
  });

  it('does not by way of a symbolic link', async (t) => {
    const folder = scratchFor(t);
    const at = (...names: string[]) => join(folder, ...names);
    mkdirSync(at('srv/backup'), { recursive: true });
    symlinkSync(at('srv'), at('link'));
    symlinkSync('srv/backup', at('disk'));
    for (const places of [
      { root: at('srv/backup'), pool: at('link') },
      { root: at('link/backup'), pool: at('srv') },
      { root: at('disk'), pool: at('srv') },
      { root: at('disk/not/there/yet'), pool: at('srv') },
    ]) {
      assert.match((await misplaced(folder, { ...places, state: at('state') })) ?? '', /contain one another/);
    }
    assert.match((await misplaced(folder, { root: at('a'), pool: at('srv'), state: at('disk/state') })) ?? '', /state/);
  });

  it('does not by way of a bind mount', { skip: loopFsSkip('xfs') }, async (t) => {
    const folder = scratchFor(t);
    const at = (...names: string[]) => join(folder, ...names);
    await withLoopFs({ type: 'xfs', size: 2 ** 29 }, async (disk) => {
      for (const name of ['srv/backup', 'srv/images']) mkdirSync(join(disk, name), { recursive: true });
      mkdirSync(at('bound'));
      run('mount', '--bind', join(disk, 'srv/backup'), at('bound'));
      try {
        const places = { root: at('bound'), state: at('state') };
        assert.match((await misplaced(folder, { ...places, pool: join(disk, 'srv') })) ?? '', /^the archive "laptop"/);
        assert.equal(await misplaced(folder, { ...places, pool: join(disk, 'srv/images') }), undefined);
      } finally {
        run('umount', at('bound'));
      }
    });
  });
});

describe('a folder whose file system is not mounted', () => {
  const mounts = parseMounts(
    [
      '22 1 254:0 / / rw,relatime - ext4 /dev/root rw',
      '36 22 254:1 / /srv/on\\040disk rw shared:5 - xfs /dev/vdb rw',
      '37 22 0:40 / /srv/auto rw - autofs systemd-1 rw',
    ].join('\n'),
  );

  it('is told by fstab', () => {
    const fstab = [
      '# <file system> <mount point>',
      'UUID=1 / ext4 errors=remount-ro 0 1',
      '/dev/vdb /srv/on\\040disk xfs defaults 0 0',
      'LABEL=auto /srv/auto xfs x-systemd.automount 0 0',
      '  /dev/vdc\t/srv/off/ xfs noauto 0 0',
      '#/dev/vdd /srv/none xfs defaults 0 0',
      '/dev/vde none swap sw 0 0',
    ].join('\n');
    const find = (folder: string) => findUnmounted(folder, fstab, mounts);
    assert.equal(find('/srv/off'), '/srv/off');
    assert.equal(find('/srv/off/images'), '/srv/off');
    for (const folder of ['/', '/srv', '/srv/offline', '/srv/on disk/x', '/srv/auto/x', '/srv/none']) {
      assert.equal(find(folder), undefined, folder);
    }
  });
});
