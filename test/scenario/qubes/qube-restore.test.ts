// Whole qubes come back: volumes byte for byte, and all settings, under a new name, in their place, or all at once.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ground } from '../mounts.ts';
import { change, furnish } from './furnished.ts';
import { hostIn, POOL, QubeBackup } from './qube-system.ts';

/** The folder of the qube `work` in its pool. */
const WORK = 'appvms/work';

const grounds = { xfs: ground('xfs'), btrfs: ground('btrfs') };
const TAG = 'backup-restore-in-progress';

async function saved(t: TestContext, folder: string): Promise<QubeBackup> {
  const host = await hostIn(t, folder);
  await furnish(host, 'work');
  const backup = await QubeBackup.of(t, host, ['*']);
  (await backup.system.run(['send', '--full'])).expect(0);
  return backup;
}

function folderOf(pool: string, qube: string): string[] {
  return readdirSync(join(pool, 'appvms', qube)).sort();
}

for (const [type, mounts] of Object.entries(grounds)) {
  describe(`qube restore on ${type}`, { skip: mounts.skip }, () => {
    test('a qube under a new name is as the saved one, and the saved one stays', async (t) => {
      const pool = mounts.folder();
      const backup = await saved(t, pool);
      const [settings, bytes] = [await backup.comparable('work', true), await backup.bytes('work')];
      const ran = (await backup.system.run(['--json', 'qube', 'restore', 'work', '--as', 'work-old'])).expect(0);
      const { results } = JSON.parse(ran.stdout) as { results: { result: string; remarks: unknown[] }[] };
      assert.deepEqual(
        results.map(({ result, remarks }) => ({ result, remarks })),
        [{ result: 'whole', remarks: [] }],
      );
      assert.deepEqual(await backup.comparable('work-old', true), settings);
      assert.deepEqual(await backup.bytes('work-old'), bytes);
      assert.deepEqual(await backup.bytes('work'), bytes);
      assert.deepEqual(
        folderOf(pool, 'work-old').filter((name) => name.startsWith('private')),
        ['private.img'],
      );
      // It starts, and stops, with what was restored.
      await backup.host.ok('admin.vm.Start', 'work-old');
      await backup.host.ok('admin.vm.Kill', 'work-old');
      assert.deepEqual(await backup.bytes('work-old'), bytes);
    });

    test('a replaced qube is as it was saved; undone, as it was before; and undone again', async (t) => {
      const pool = mounts.folder();
      const backup = await saved(t, pool);
      const { host } = backup;
      const then = { settings: await backup.comparable('work'), bytes: await backup.bytes('work') };
      await change(host, 'work');
      const later = { settings: await backup.comparable('work'), bytes: await backup.bytes('work') };
      const uuid = (await backup.settings('work')).uuid;
      (await backup.system.run(['qube', 'restore', 'work', '--replace'])).expect(2);
      (await backup.system.run(['qube', 'restore', 'work', '--replace', '--yes'])).expect(0);
      assert.deepEqual(await backup.comparable('work'), then.settings);
      assert.deepEqual(await backup.bytes('work'), then.bytes);
      assert.equal((await backup.settings('work')).uuid, uuid);
      for (const [turn, state] of [later, then, later].entries()) {
        (await backup.system.run(['qube', 'restore', 'work', '--undo', '--yes'])).expect(0);
        assert.deepEqual(await backup.comparable('work'), state.settings, `undo ${String(turn)}`);
        assert.deepEqual(await backup.bytes('work'), state.bytes, `undo ${String(turn)}`);
      }
      assert.equal(folderOf(pool, 'work').filter((name) => name.includes('.replaced-')).length, 1);
    });

    test('everything comes back on a new host, but for what its templates need', async (t) => {
      const backup = await saved(t, mounts.folder());
      const names = await backup.qubes();
      const states = new Map<string, { settings: unknown; bytes: unknown }>();
      for (const name of names) {
        states.set(name, { settings: await backup.comparable(name), bytes: await backup.bytes(name) });
      }
      const pool = mounts.folder();
      const fresh = await hostIn(t, pool, { populated: false });
      await fresh.addDevice({
        ...{ devclass: 'block', backend: 'dom0', port: 'sdz', device: 'x' },
        description: 'none',
      });
      backup.use(fresh);
      (await backup.system.run(['qube', 'restore', '--all'])).expect(2);
      const ran = (await backup.system.run(['--json', 'qube', 'restore', '--all', '--yes'])).expect(0);
      const { results } = JSON.parse(ran.stdout) as { results: { result: string; remarks: unknown[] }[] };
      assert.deepEqual(
        results.filter(({ result }) => result !== 'whole'),
        [],
      );
      assert.deepEqual(await backup.qubes(), names);
      for (const name of names) {
        assert.deepEqual(await backup.comparable(name), states.get(name)?.settings, name);
        assert.deepEqual(await backup.bytes(name), states.get(name)?.bytes, name);
        assert.ok(!(await backup.settings(name)).tags.includes(TAG), name);
      }
      const again = (await backup.system.run(['--json', 'qube', 'restore', '--all', '--yes'])).expect(0);
      assert.deepEqual((JSON.parse(again.stdout) as { plan: { here: string[] } }).plan.here, names);
    });
  });
}

test('list, show and diff', { skip: grounds.xfs.skip }, async (t) => {
  const backup = await saved(t, grounds.xfs.folder());
  const { host, system } = backup;
  await host.control({ do: 'rename', from: 'personal', to: 'private-life' });
  const listed = JSON.parse((await system.run(['--json', 'qube', 'list'])).expect(0).stdout) as {
    qubes: { name: string; class: string; here: unknown }[];
  };
  const byName = new Map(listed.qubes.map((qube) => [qube.name, qube]));
  assert.deepEqual(byName.get('work')?.here, { is: 'here' });
  assert.equal(byName.get('fedora-42')?.class, 'TemplateVM');
  assert.match((await system.run(['qube', 'list'])).expect(0).stdout, /QUBE +CLASS/);
  const shown = (await system.run(['qube', 'show', 'work'])).expect(0).stdout;
  assert.match(shown, /memory: 777/);
  assert.match(shown, /cups: on/);
  (await system.run(['qube', 'show', 'nosuch'])).expect(1);
  assert.match((await system.run(['qube', 'diff', 'work'])).expect(0).stdout, /are those of/);
  await host.ok('admin.vm.property.Set', 'work', 'memory', '555');
  const { differences } = JSON.parse((await system.run(['--json', 'qube', 'diff', 'work'])).expect(0).stdout) as {
    differences: unknown[];
  };
  assert.deepEqual(differences, [{ item: 'property memory', saved: '777', now: '555' }]);
});

test('a plan says what is missing here, and nothing is changed by it', { skip: grounds.xfs.skip }, async (t) => {
  const backup = await saved(t, grounds.xfs.folder());
  const { system, host } = backup;
  const names = await backup.qubes();
  const bad: [number, RegExp, ...string[]][] = [
    [1, /exists already/, 'work'],
    [1, /exists already/, 'work', '--as', 'personal'],
    [2, /cannot be the name/, 'work', '--as', 'a'.repeat(32)],
    [2, /cannot be the name/, 'work', '--as', 'work-dm'],
    [1, /no qube "nosuch"/, 'nosuch'],
    [2, /no pool "nosuch"/, 'work', '--as', 'x', '--pool', 'nosuch'],
    [1, /no qube "nosuch"/, 'work', '--as', 'x', '--map-template', 'fedora-42=nosuch'],
    [2, /do not go together/, 'work', '--as', 'x', '--replace'],
    [2, /takes no names/, 'work', '--all'],
    [1, /no replacement of work can be undone/, 'work', '--undo', '--yes'],
  ];
  for (const [status, message, ...args] of bad) {
    assert.match((await system.run(['qube', 'restore', ...args])).expect(status).stderr, message);
  }
  (await system.run(['qube', 'restore', 'work', '--as', 'x', '--dry-run'])).expect(0);
  await host.ok('admin.vm.Start', 'work');
  assert.match((await system.run(['qube', 'restore', 'work', '--replace', '--yes'])).expect(1).stderr, /not halted/);
  assert.deepEqual(await backup.qubes(), names);
  assert.ok(!existsSync(join(system.stateDir, 'restores', 'x.json')));
  assert.equal(dirname(await backup.path(POOL, `${WORK}/private`)).endsWith(WORK), true);
});
