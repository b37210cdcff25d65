// A replacement that cannot be completed is given up: the qube starts again, and the one before it can be undone.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ground } from '../mounts.ts';
import { change, furnish } from './furnished.ts';
import { hostIn, QubeBackup } from './qube-system.ts';

const xfs = ground('xfs');
const TAG = 'backup-restore-in-progress';

test('an unfinished replacement is given up, and the one before it undone', { skip: xfs.skip }, async (t) => {
  const pool = xfs.folder();
  const host = await hostIn(t, pool);
  await furnish(host, 'work');
  const backup = await QubeBackup.of(t, host, ['work']);
  const run = (...args: string[]) => backup.system.run(['qube', 'restore', 'work', ...args, '--yes']);
  (await backup.system.run(['send', '--full'])).expect(0);
  const then = { settings: await backup.comparable('work'), bytes: await backup.bytes('work') };
  await change(host, 'work');
  const later = { settings: await backup.comparable('work'), bytes: await backup.bytes('work') };
  (await run('--replace')).expect(0);
  // It fails before it has exchanged a volume.
  await host.fault({ method: 'admin.vm.volume.List', dest: 'work', nth: 3, effect: { kind: 'empty' } });
  const failed = await run('--replace');
  await host.control({ do: 'clear' });
  assert.notEqual(failed.status, 0);
  const folder = join(pool, 'appvms', 'work');
  assert.match(await host.ok('admin.vm.tag.List', 'work'), new RegExp(TAG));
  (await run('--undo')).expect(0);
  assert.doesNotMatch(await host.ok('admin.vm.tag.List', 'work'), new RegExp(TAG));
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.restored-')),
    [],
  );
  assert.deepEqual({ settings: await backup.comparable('work'), bytes: await backup.bytes('work') }, then);
  (await run('--undo')).expect(0);
  assert.deepEqual({ settings: await backup.comparable('work'), bytes: await backup.bytes('work') }, later);
});
