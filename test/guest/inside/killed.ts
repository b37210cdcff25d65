// The agent killed at its calls of LVM and device-mapper, and at what it says to the receiver: the next run heals, and what is
// restored is right (I2, I8, I9, G1, L4, L11, L18).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Interposition } from '../../scenario/interposed.ts';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers, type KillAt } from './wrappers.ts';

const MIB = 1024 * 1024;
const VOLUMES = ['vm-a-private', 'vm-b-private'];

/** A call of each kind that changes the pool, or whose answer decides. */
const CALLS: readonly [string, 'send' | 'monitor', KillAt][] = [
  ['before the snapshots', 'send', { when: 'before', containing: 'lvm /' }],
  ['after the snapshots', 'monitor', { when: 'after', containing: 'lvm /' }],
  ['after the metadata are reserved', 'monitor', { when: 'after', containing: ' reserve_metadata_snap' }],
  ['while the delta is read', 'send', { when: 'before', containing: 'thin_delta' }],
  ['before the metadata are released', 'monitor', { when: 'before', containing: 'release_metadata_snap' }],
  ['when the new snapshots have taken the place of the old', 'monitor', { when: 'before', containing: 'lvremove' }],
  ['after a snapshot is activated', 'send', { when: 'after', containing: '--activate y' }],
  ['before a snapshot is put away', 'send', { when: 'before', containing: '--activate n' }],
];

const MESSAGES: readonly Interposition[] = [
  { from: 'agent', what: 'chunk', action: 'kill-agent' },
  { from: 'agent', what: 'commit', action: 'deliver-and-kill-agent' },
  { from: 'receiver', what: 'done to commit', nth: 2, action: 'kill-agent' },
  { from: 'receiver', what: 'done to put-catalogue', action: 'kill-agent' },
];

describe('the agent killed', () => {
  it('at each of its steps: the next run heals', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: ['vm-*-private'] });
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
    const heals = (what: string, kill: () => void): void => {
      edit();
      kill();
      edit();
      const sent = backup.send();
      for (const { kind, compared, error } of sent.volumes) {
        assert.deepEqual([kind, compared], ['incremental', false], `${what}: ${error?.message ?? ''}`);
      }
      backup.assertTidy(VOLUMES.length);
    };
    const killedAt = (what: string, command: string, kill: KillAt): void => {
      heals(what, () => {
        const ran = backup.try([command], wrappers.environment(kill));
        assert.equal(ran.signal, 'SIGKILL', `${what}: ${ran.stdout}${ran.stderr}`);
      });
    };
    for (const [what, command, kill] of CALLS) killedAt(what, command, kill);
    const call = random.between(2, 12);
    killedAt(`at call ${call}`, 'send', { when: random.pick(['before', 'after']), call });
    for (const plan of MESSAGES) heals(plan.what, () => backup.killedAt(['send'], plan));
    for (const name of VOLUMES) backup.compare(name);
    backup.run(['verify', '--all-sessions']);
    console.log(`${CALLS.length + 1} calls, ${MESSAGES.length} messages`);
  });
});
