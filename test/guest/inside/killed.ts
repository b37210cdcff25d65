// The agent killed at its calls of LVM and device-mapper, and at what it says to the receiver: the next run heals, and
// what is restored is right (I2, I8, I9, G1, L4, L11, L18).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Interposition } from '../../scenario/interposed.ts';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers, type KillAt } from './wrappers.ts';

const MIB = 1024 * 1024;
const VOLUMES = ['vm-a-private', 'vm-b-private'];

/** After which step, of which command, and what the next run is. */
const CALLS: readonly [string, 'send' | 'monitor', KillAt, 'send' | 'monitor'][] = [
  ['the snapshots are made', 'monitor', { when: 'after', containing: 'lvm /' }, 'monitor'],
  ['the metadata are reserved', 'monitor', { when: 'after', containing: ' reserve_metadata_snap' }, 'monitor'],
  ['the first delta is read', 'send', { when: 'after', containing: 'thin_delta' }, 'monitor'],
  ['new snapshots are in the place of old', 'monitor', { when: 'before', containing: 'lvremove' }, 'send'],
  ['a snapshot is activated', 'send', { when: 'after', containing: '--activate y' }, 'send'],
];

/** Where a message goes by; and what happens to the first volume before the next run. */
const MESSAGES: readonly [Interposition, 'edited' | 'reverted'][] = [
  [{ from: 'agent', what: 'chunk', action: 'kill-agent' }, 'edited'],
  // The session is there, and the agent does not know.
  [{ from: 'receiver', what: 'done to commit', action: 'kill-agent' }, 'reverted'],
];

describe('the agent killed', () => {
  it('at each of its steps: the next run heals', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: ['vm-*-private'] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const random = new Random('killed');
    for (const name of VOLUMES) {
      pool.create(name, 4 * MIB);
      pool.write(name, 0, noise(random, 2 * MIB));
    }
    backup.send(['--full']);
    const edit = (names = VOLUMES): void => {
      for (const name of names) pool.write(name, random.int(3 * MIB), random.bytes(random.between(1, 100_000)));
    };
    const sends = (what: string): void => {
      for (const { kind, compared, error } of backup.send().volumes) {
        assert.deepEqual([kind, compared], ['incremental', false], `${what}: ${error?.message ?? ''}`);
      }
    };
    const heals = (what: string, kill: () => void, next: 'send' | 'monitor' = 'send', then = () => edit()): void => {
      edit();
      kill();
      then();
      if (next === 'send') sends(what);
      else
        assert.ok(
          backup.monitor().every(({ kind }) => kind === 'monitored'),
          what,
        );
      backup.assertTidy(VOLUMES.length);
    };
    const killedAt = (what: string, command: string, kill: KillAt, next?: 'send' | 'monitor'): void => {
      heals(what, () => backup.killedAtCall([command], wrappers.environment(kill)), next);
    };
    for (const [what, command, kill, next] of CALLS) killedAt(what, command, kill, next);
    // Wherever that is.
    const call = random.between(2, 12);
    killedAt(`at call ${call}`, 'monitor', { when: random.pick(['before', 'after']), call }, 'monitor');
    const [first = '', ...others] = VOLUMES;
    const revert = (): void => {
      pool.drop(first);
      pool.rename('revision', first);
      edit(others);
    };
    for (const [plan, meanwhile] of MESSAGES) {
      const reverted = meanwhile === 'reverted';
      if (reverted) pool.clone(first, 'revision');
      heals(plan.what, () => backup.killedAtMessage(['send'], plan), 'send', reverted ? revert : edit);
    }
    for (const name of VOLUMES) backup.compare(name);
    backup.run(['verify', '--all-sessions']);
    console.log(`${CALLS.length + 1} calls, ${MESSAGES.length} messages`);
  });
});
