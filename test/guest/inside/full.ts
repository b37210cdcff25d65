// A pool that is nearly full (L5).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { ThinPool } from './thin-pool.ts';

const MIB = 1024 * 1024;

describe('a pool that is nearly full (L5)', () => {
  it('gives up our own snapshots first, and is not snapshotted above the limit', (t) => {
    const pool = ThinPool.named('small-pool', { size: '40m', metadata: '4m' });
    const section = { pool, volumes: ['v'] };
    const backup = new Backup(t, section);
    const random = new Random('full');
    pool.create('v', 24 * MIB);
    pool.write('v', 0, noise(random, 24 * MIB));
    backup.send(['--full']);
    pool.write('v', 0, noise(random, 13 * MIB));
    const ran = backup.run(['--json', 'monitor']);
    assert.match(ran.stderr, /nearly full/);
    backup.assertTidy(0);
    const sent = backup.send();
    assert.deepEqual(
      sent.volumes.map(({ kind, compared }) => [kind, compared]),
      [['incremental', true]],
    );
    backup.compare('v');
    backup.configure({ ...section, fullAt: 5 });
    backup.refused(['send'], /% of its data in use[^]*lvextend --size/);
    backup.assertTidy(0);
  });
});
