// A reflink pool of Qubes: at every moment exactly what Qubes itself saves is a volume, whichever qubes run.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { Source } from '../../../dom0-agent/source/source.ts';
import { loopFsSkip, mountLoopFs, type LoopFs } from '../../fixtures/loop-fs.ts';
import { ReflinkQubes } from '../../fixtures/qubes/reflink-images.ts';
import { contentOf, snapshotOf } from './conformance.ts';

/** What Qubes saves of the qubes below. */
const SAVED = [
  'appvms/alone/private.img',
  'appvms/alone/root.img',
  'appvms/dvm/private.img',
  'appvms/keep/private.img',
  'appvms/office/private.img',
  'vm-templates/debian/private.img',
  'vm-templates/debian/root.img',
];

describe('a reflink pool of Qubes', { skip: loopFsSkip('xfs') }, () => {
  let fs: LoopFs;
  before(async () => {
    fs = await mountLoopFs({ type: 'xfs', size: 2 ** 30 });
  });
  after(() => fs.unmount());

  function folderFor(t: TestContext): string {
    const folder = mkdtempSync(join(fs.dir, 'qubes-'));
    t.after(() => {
      rmSync(folder, { recursive: true });
    });
    return folder;
  }

  const running = (path: string): Source => openSource({ type: 'reflink', path, state: 'running' });
  const stopped = (path: string): Source => openSource({ type: 'reflink', path, state: 'stopped' });

  /** `keep` has no revisions: Qubes renames its only file. `revisions` are the others'. */
  function qubesIn(folder: string, revisions = 1) {
    const qubes = new ReflinkQubes(folder);
    return {
      debian: qubes.template('debian', revisions),
      office: qubes.app('office', 'debian', revisions),
      dvm: qubes.app('dvm', 'debian', revisions),
      keep: qubes.app('keep', 'debian', -1),
      alone: qubes.standalone('alone'),
      disposable: qubes.disposable('disp12', 'dvm', 'debian'),
    };
  }

  async function listIn(source: Source, ...patterns: string[]) {
    const [listed, again] = [await source.list(patterns, []), await source.list(patterns, [])];
    assert.deepEqual(listed, again);
    return listed;
  }

  const all = { volumes: SAVED, leftOut: [] };

  for (const revisions of [0, 1, 2]) {
    it(`has the same volumes whichever qubes run, with ${revisions} revisions`, async (t) => {
      const folder = folderFor(t);
      const { debian, office, dvm, keep, alone, disposable } = qubesIn(folder, revisions);
      const check = async (when: string) => {
        for (const patterns of [['**'], ['*/*/*.img'], ['appvms/**', 'vm-templates/*/*']]) {
          assert.deepEqual(await listIn(running(folder), ...patterns), all, `${when}: ${patterns.join(' ')}`);
        }
        assert.deepEqual(await listIn(running(folder), 'appvms/*/private.img', 'vm-templates/*/root.img'), {
          volumes: SAVED.filter((name) => /^appvms.*private|root\.img$/.test(name) && name !== 'appvms/alone/root.img'),
          leftOut: [],
        });
      };
      await check('before any start');
      for (const qube of [office, keep, alone, disposable]) qube.start();
      await check('while they run');
      writeFileSync(join(folder, 'appvms/office/private-import.img'), 'an import');
      writeFileSync(join(folder, 'appvms/office/private-dirty.img~77'), 'half made');
      await check('while something is imported');
      debian.start();
      await check('while their template runs, too');
      debian.stop();
      for (const qube of [office, keep, alone, disposable]) qube.stop();
      await check('after the stop');
      disposable.start();
      disposable.stop();
      office.start();
      office.stop();
      await check('after another');
      if (revisions === 0) return;
      // From its first stop on it has a revision, which only a volume of its own can have.
      dvm.start();
      dvm.stop();
      for (const qube of [dvm, disposable]) qube.start();
      await check('while a disposable and its template run');
    });
  }

  it('names what is one file with another, where nothing tells whose it is, until it is named in full', async (t) => {
    const folder = folderFor(t);
    const { dvm, disposable } = qubesIn(folder, 0);
    for (const qube of [dvm, disposable]) qube.start();
    const unclear = ['appvms/disp12/private.img', 'appvms/dvm/private.img'];
    const { volumes, leftOut } = await listIn(running(folder), '**');
    assert.deepEqual(
      volumes,
      SAVED.filter((name) => !unclear.includes(name)),
    );
    assert.deepEqual(
      leftOut.map(({ name }) => name),
      unclear,
    );
    assert.match(leftOut[0]!.reason, /one file with appvms\/dvm\/private\.img/);
    assert.deepEqual(await listIn(running(folder), 'appvms/dvm/private.img'), {
      volumes: ['appvms/dvm/private.img'],
      leftOut: [],
    });
  });

  it('does not take a hard link of a running qube, not even by its full name', async (t) => {
    const folder = folderFor(t);
    const { office, disposable } = qubesIn(folder);
    for (const qube of [office, disposable]) qube.start();
    const names = ['appvms/disp12/private.img', 'appvms/office/root.img'];
    const { volumes, leftOut } = await listIn(running(folder), ...names);
    assert.deepEqual([volumes, leftOut.map(({ name }) => name)], [[], names]);
    assert.match(leftOut[0]!.reason, /hard link to the image of appvms\/dvm\/private\.img/);
    assert.match(leftOut[1]!.reason, /hard link to the image of vm-templates\/debian\/root\.img/);
    const within = running(join(folder, 'appvms'));
    assert.deepEqual(await listIn(within, '**'), {
      volumes: SAVED.filter((name) => name.startsWith('appvms/')).map((name) => name.slice('appvms/'.length)),
      leftOut: [],
    });
  });

  it('has a volume whose only file is renamed while its qube runs, and captures it', async (t) => {
    const folder = folderFor(t);
    const { keep } = qubesIn(folder);
    const volume = 'appvms/keep/private.img';
    keep.start();
    keep.write('private', 5000, Buffer.from('while it runs'));
    for (const source of [running(folder), stopped(folder)]) {
      assert.deepEqual(await listIn(source, volume), { volumes: [volume], leftOut: [] });
      const snapshot = await snapshotOf(source, volume);
      assert.equal(snapshot.state, 'running');
      const expected = readFileSync(join(folder, 'appvms/keep/private-dirty.img'));
      assert.ok((await contentOf(source, snapshot)).equals(expected));
      assert.deepEqual([...(await source.running!([volume]))], [], 'nothing is left behind');
    }
    keep.stop();
    assert.equal((await snapshotOf(running(folder), volume)).state, 'stopped');
  });

  it('takes the state that is asked for where there are two', async (t) => {
    const folder = folderFor(t);
    const { office } = qubesIn(folder);
    const volume = 'appvms/office/private.img';
    office.start();
    office.write('private', 0, Buffer.from('while it runs'));
    const startOf = async (source: Source) => {
      const snapshot = await snapshotOf(source, volume);
      return [snapshot.state, (await contentOf(source, snapshot)).toString('latin1', 0, 13)];
    };
    assert.deepEqual(await startOf(running(folder)), ['running', 'while it runs']);
    assert.deepEqual(await startOf(stopped(folder)), ['stopped', '\0'.repeat(13)]);
  });

  it('takes no file of another name for what a qube writes to', async (t) => {
    const folder = folderFor(t);
    const names = ['web-dirty.img', 'web.img', 'x/web-precache.img', 'x/web.img.3@2026-01-01T00:00:00Z', 'x/web.img~'];
    new ReflinkQubes(folder).standalone('alone');
    for (const name of names) renameSync(makeFile(folder, name), join(folder, name));
    const { volumes, leftOut } = await listIn(running(folder), '*.img', 'x/**');
    assert.deepEqual([volumes, leftOut], [names, []]);
    const snapshot = await snapshotOf(running(folder), 'web.img');
    assert.equal(snapshot.state, 'stopped');
    assert.equal((await contentOf(running(folder), snapshot)).toString(), 'web.img');
  });

  it('in a pool of files says that it cannot take an image that its qube has renamed', async (t) => {
    const folder = folderFor(t);
    const { keep, office } = qubesIn(folder);
    const source = openSource({ type: 'file', path: folder, live: false });
    for (const qube of [keep, office]) qube.start();
    const { volumes, leftOut } = await listIn(source, '**');
    assert.deepEqual(
      volumes,
      SAVED.filter((name) => !name.includes('keep')),
    );
    assert.deepEqual(
      leftOut.map(({ name }) => name),
      ['appvms/keep/private.img'],
    );
    assert.match(leftOut[0]!.reason, /its qube is running/);
    assert.deepEqual([...(await source.running!(volumes))], ['appvms/office/private.img']);
  });
});

function makeFile(folder: string, name: string): string {
  const path = join(folder, 'new');
  writeFileSync(path, name);
  mkdirSync(join(folder, name, '..'), { recursive: true });
  return path;
}
