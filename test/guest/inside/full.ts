// A pool that is nearly full, of data or of metadata (L5).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { lvs } from './commands.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';

const MIB = 1024 * 1024;

describe('a pool that is nearly full (L5)', () => {
  it('of data: our own snapshots go first, and above the limit nothing is snapshotted', (t) => {
    const pool = ThinPool.named('small-pool', { size: '40m', metadata: '4m' });
    const section = { pool, volumes: ['v'] };
    const backup = new Backup(t, section);
    const random = new Random('full');
    pool.create('v', 24 * MIB);
    pool.write('v', 0, random.bytes(24 * MIB));
    backup.send(['--full']);
    pool.write('v', 0, random.bytes(13 * MIB));
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

  it('of metadata: the same', (t) => {
    const pool = ThinPool.named('narrow-pool', { size: '1g', metadata: '2m' });
    const section = { pool, volumes: ['v'] };
    const backup = new Backup(t, section);
    const random = new Random('metadata');
    pool.create('v', 4 * MIB);
    pool.write('v', 0, random.bytes(2 * MIB));
    backup.send(['--full']);
    backup.assertTidy(1);
    const used = Number(lvs(pool.group, 'metadata_percent').get(pool.name));
    assert.ok(used > 2, `${used}%`);
    backup.configure({ ...section, fullAt: used / 2 });
    backup.refused(['send'], /% of its metadata in use[^]*lvextend --poolmetadatasize/);
    backup.assertTidy(0);
    backup.configure(section);
    pool.write('v', MIB, random.bytes(5));
    assert.equal(backup.send().volumes[0]?.compared, true);
    backup.compare('v');
  });
});
