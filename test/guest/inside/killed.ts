// The agent killed at its calls of LVM and device-mapper: the next run heals, and what is restored is right (I8, G1).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers, type KillAt } from './wrappers.ts';

const MIB = 1024 * 1024;
const VOLUMES = ['vm-a-private', 'vm-b-private'];

/** A call of each kind that changes the pool, or whose answer decides. */
const STEPS: readonly [string, 'send' | 'monitor', KillAt][] = [
  ['before the snapshots', 'send', { when: 'before', containing: 'lvm /' }],
  ['after the snapshots', 'monitor', { when: 'after', containing: 'lvm /' }],
  ['after the metadata are reserved', 'monitor', { when: 'after', containing: ' reserve_metadata_snap' }],
  ['while the delta is read', 'send', { when: 'before', containing: 'thin_delta' }],
  ['before the metadata are released', 'monitor', { when: 'before', containing: 'release_metadata_snap' }],
  ['before old snapshots are removed', 'monitor', { when: 'before', containing: 'lvremove' }],
  ['after a snapshot is activated', 'send', { when: 'after', containing: '--activate y' }],
  ['before a snapshot is put away', 'send', { when: 'before', containing: '--activate n' }],
];

describe('the agent killed', () => {
  it('at each of its steps: the next run heals', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['vm-*-private'] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const random = new Random('killed');
    for (const name of VOLUMES) {
      pool.create(name, 4 * MIB);
      pool.write(name, 0, random.bytes(2 * MIB));
    }
    backup.send(['--full']);
    const edit = (): void => {
      for (const name of VOLUMES) pool.write(name, random.int(3 * MIB), random.bytes(random.between(1, 100_000)));
    };
    const killedAt = (command: string, kill: KillAt, what: string): void => {
      edit();
      const ran = backup.try([command], wrappers.environment(kill));
      assert.equal(ran.signal, 'SIGKILL', `${what}: ${ran.stdout}${ran.stderr}`);
      edit();
      const began = Date.now();
      const sent = backup.send();
      for (const { kind, error } of sent.volumes) assert.equal(kind, 'incremental', `${what}: ${error?.message ?? ''}`);
      backup.assertTidy(VOLUMES.length);
      console.log(`${what}: healed in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    };
    for (const [what, command, kill] of STEPS) killedAt(command, kill, what);
    for (let round = 0; round < 2; round++) {
      const call = random.between(2, 20);
      killedAt('send', { when: random.pick(['before', 'after']), call }, `at call ${call}`);
    }
    for (const name of VOLUMES) backup.compare(name);
  });
});
