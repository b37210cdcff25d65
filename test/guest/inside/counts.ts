// How many programs are started for 1, 5 and 20 volumes: the calls of LVM must not grow with them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeFileSync } from 'node:fs';
import { run } from './commands.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers } from './wrappers.ts';

const MIB = 1024 * 1024;
const LVM = ['lvm', 'lvs', 'lvcreate', 'lvchange', 'lvremove'];

describe('monitor over many volumes', () => {
  it('starts as many commands of LVM for 20 as for one', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['v*'] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const names = Array.from({ length: 20 }, (_, index) => `v${index + 1}`);
    const lines = names.map((name) => `lvcreate -kn -ay --thin -V 1m -n ${name} ${pool.group}/${pool.name}`);
    writeFileSync('/tmp/create', ['#!lvm', ...lines, ''].join('\n'));
    run('lvm', '/tmp/create');
    backup.send(['--full']);
    const lvmCalls: number[] = [];
    for (const count of [1, 5, 20]) {
      backup.configure({ volumes: names.slice(0, count) });
      for (const name of names.slice(0, count)) pool.write(name, MIB - 70_000, Buffer.alloc(10, count));
      const monitored = backup.monitor(wrappers.environment());
      assert.equal(monitored.length, count);
      for (const { kind, changedBytes } of monitored) assert.deepEqual([kind, changedBytes], ['monitored', 65536]);
      const counts = wrappers.counts();
      lvmCalls.push(LVM.reduce((sum, program) => sum + (counts[program] ?? 0), 0));
      console.log(`monitor of ${count} volumes: ${JSON.stringify(counts)}`);
    }
    assert.ok(Math.max(...lvmCalls) === Math.min(...lvmCalls), String(lvmCalls));
    backup.configure({ volumes: ['v1'] });
    backup.send([], wrappers.environment());
    console.log(`incremental send of 1 volume: ${JSON.stringify(wrappers.counts())}`);
  });
});
