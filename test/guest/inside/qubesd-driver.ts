// The driver lvm_thin of the stand-in of qubesd, as its model's source says: how it moves devices when qubes start and
// stop, and at imports; and what it knows late.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, succeeds } from './commands.ts';
import { MIB, QubesHost } from './qubes-host.ts';

describe('lvm_thin of the stand-in of qubesd', () => {
  it('snapshots at start, commits at stop, shows late what changes outside', async (t) => {
    const host = await QubesHost.start(t);
    const { qubesd, pool } = host;
    await qubesd.addTemplate('t', { data: { root: MIB } });
    await qubesd.addQube('w', { template: 't', data: { private: MIB } });
    const vid = `${pool.group}/vm-w-private`;
    const names = (): string[] => pool.names('vm-w-').sort();
    const revisions = () => qubesd.ok('admin.vm.volume.ListSnapshots', 'w', 'private');
    assert.equal((await qubesd.volume('w', 'private')).vid, vid);
    assert.deepEqual(names(), ['vm-w-private']);

    await host.start('w');
    assert.deepEqual(names(), ['vm-w-private', 'vm-w-private-snap', 'vm-w-root-snap', 'vm-w-volatile']);
    host.write('w:private', MIB, Buffer.alloc(100, 7));
    const written = host.read('w:private');
    await host.stop('w');
    assert.match(await revisions(), /^\d+-back\n$/);
    assert.deepEqual(
      names().filter((name) => !name.endsWith('-back')),
      ['vm-w-private'],
    );
    assert.ok(host.read('w:private').equals(written));

    const size = 3 * MIB;
    await qubesd.control({ do: 'importBegin', qube: 'w', volume: 'private', size });
    const refused = await qubesd.call('admin.vm.Start', 'w');
    assert.match(refused.kind === 'exception' ? refused.message : '', /Import operation in progress/);
    await assert.rejects(qubesd.control({ do: 'importEnd', qube: 'w', volume: 'private', result: 'fail\nno' }));
    assert.equal(pool.has('vm-w-private-import'), false);
    assert.ok(host.read('w:private').equals(written));

    run('lvextend', '--size=6m', vid);
    assert.equal(await host.size('w:private'), 2 * MIB, 'late');
    // An action in any pool renews what it knows of all.
    await qubesd.addQube('other', { template: 't', pool: 'second' });
    assert.equal(await host.size('w:private'), 6 * MIB);

    await qubesd.ok('admin.vm.volume.Set.revisions_to_keep', 'w', 'private', '-1');
    await host.start('w');
    assert.equal(pool.has('vm-w-private-snap'), false);
    await host.stop('w');

    // Without the volume, the newest revision is taken for it in silence.
    pool.rename('vm-w-private', 'elsewhere');
    await qubesd.restart();
    assert.match((await qubesd.volume('w', 'private')).path ?? '', /-back$/);
    pool.rename('elsewhere', 'vm-w-private');
    await qubesd.restart();
    await qubesd.ok('admin.vm.Remove', 'w');
    assert.deepEqual(names(), []);
    assert.ok(succeeds('lvs', `${pool.group}/vm-t-root`));
  });
});
