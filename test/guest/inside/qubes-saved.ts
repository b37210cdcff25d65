// Whole qubes in thin pools are saved: settings, and the volumes that qubesd names.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeSettings } from '../../../dom0-agent/qubes/settings.ts';
import { Random } from '../../fixtures/random.ts';
import type { Sent } from './guest-backup.ts';
import { noise } from './noise.ts';
import { MIB, QubesHost, SIZES } from './qubes-host.ts';

const VOLUMES = ['alone:private', 'alone:root', 'work:private'];

/** What was done to each, and whether it was compared in full. */
function told({ volumes }: Sent): Record<string, readonly [string, boolean]> {
  return Object.fromEntries(volumes.map(({ name, kind, compared }) => [name, [kind, compared] as const]));
}

describe('qubes in thin pools', () => {
  it('are saved halted, running and renamed, with their settings, and nothing is read in full (L6, L9)', async (t) => {
    const host = await QubesHost.start(t);
    const { qubesd } = host;
    const random = new Random('whole qubes');
    await qubesd.addTemplate('t', { data: { root: MIB } });
    await qubesd.addQube('work', { template: 't', data: { private: MIB } });
    const wanted = 'name=alone label=red pool:root=first pool:private=second';
    await qubesd.ok('admin.vm.CreateInPool.StandaloneVM', 'dom0', '', wanted);
    for (const name of ['alone:root', 'alone:private']) host.write(name, 0, noise(random, MIB));
    await qubesd.ok('admin.vm.volume.Set.revisions_to_keep', 'alone', 'private', '-1');
    const backup = host.backup(t, ['?o*', 'alone']);
    const all = (kind: string, compared: boolean) => [kind, compared] as const;
    assert.deepEqual(told(backup.send(['--full'])), {
      ...Object.fromEntries(VOLUMES.map((name) => [name, all('full', false)])),
      'alone:settings': all('full', false),
      'work:settings': all('full', false),
    });
    backup.assertTidy(VOLUMES.length);

    await host.start('work');
    await host.start('alone');
    // As a virtual machine would: without revisions there is no other sign of it.
    const used = openSync(host.pool.path('vm-alone-private'), 'r+');
    for (const name of ['work:private', 'alone:root', 'alone:private'])
      host.write(name, random.int(MIB), random.bytes(70_000));
    const running = backup.send();
    assert.deepEqual(told(running), {
      'alone:private': all('incremental', false),
      'alone:root': all('incremental', false),
      'alone:settings': all('incremental', true),
      'work:private': all('incremental', false),
      'work:settings': all('incremental', true),
    });
    for (const name of VOLUMES) backup.compare(name);
    const listed = JSON.parse(backup.run(['--json', 'list', 'alone']).stdout) as {
      volumes: { name: string; sessions: { state?: string }[] }[];
    };
    assert.deepEqual(
      Object.fromEntries(listed.volumes.map(({ name, sessions }) => [name, sessions.map(({ state }) => state)])),
      {
        'alone:private': ['stopped', 'running'],
        'alone:root': ['stopped', 'running'],
        'alone:settings': ['stopped', 'running'],
      },
    );
    backup.assertTidy(VOLUMES.length);

    closeSync(used);
    await host.stop('work');
    await host.stop('alone');
    await qubesd.control({ do: 'rename', from: 'work', to: 'job', volumes: true });
    backup.keepAs('work:private', 'job:private');
    host.write('job:private', 0, random.bytes(10));
    assert.deepEqual(told(backup.send()), {
      'alone:private': all('unchanged', false),
      'alone:root': all('unchanged', false),
      'alone:settings': all('incremental', true),
      'job:private': all('incremental', false),
      'job:settings': all('incremental', true),
    });
    backup.compare('job:private', 'all');
    backup.assertTidy(VOLUMES.length);
    const file = join(backup.folder, 'settings');
    backup.run(['restore', 'job:settings', '--to', file]);
    const { name, state, volumes } = decodeSettings(readFileSync(file), 'job');
    assert.deepEqual(
      [name, state, volumes.private],
      [
        ...['job', 'Halted'],
        {
          ...{ pool: 'first', vid: `${host.pool.group}/vm-job-private`, size: SIZES.private },
          ...{ revisionsToKeep: 1, saved: true },
        },
      ],
    );
  });
});
