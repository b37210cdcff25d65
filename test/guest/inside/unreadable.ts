// A disk that fails while a volume is read (L7).

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { ThinPool } from './thin-pool.ts';

const MIB = 1024 * 1024;

/** The real lvchange, and then every block of an active snapshot is an error. */
const FAILING = `#!/bin/sh
/usr/sbin/lvchange "$@" || exit
for node in /dev/mapper/*-vm--sparsebak--*; do
  [ -b "$node" ] || continue
  size=$(blockdev --getsz "$node")
  dmsetup suspend --noflush "$node" && dmsetup load --readonly --table "0 $size error" "$node" && dmsetup resume "$node"
done
`;

describe('a disk that cannot be read (L7)', () => {
  it('fails the volume, and no other; the next send makes up for it', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: ['v'] });
    const random = new Random('unreadable');
    pool.create('v', 3 * MIB);
    pool.write('v', 0, noise(random, 2 * MIB));
    backup.writeFile('a.raw', noise(random, MIB));
    backup.send(['--full']);
    pool.write('v', MIB, random.bytes(70_000));
    backup.writeFile('a.raw', noise(random, MIB));
    const programs = mkdtempSync('/tmp/fake-');
    writeFileSync(join(programs, 'lvchange'), FAILING, { mode: 0o755 });
    const failed = backup.send([], { PATH: `${programs}:${process.env.PATH ?? ''}` }, 3);
    assert.deepEqual(
      failed.volumes.map(({ name, kind, error }) => [name, kind, error?.code]),
      [
        ['a.raw', 'incremental', undefined],
        ['v', 'failed', 'source'],
      ],
    );
    assert.deepEqual(
      backup.send().volumes.map(({ name, kind, compared }) => [name, kind, compared]),
      [
        ['a.raw', 'unchanged', true],
        ['v', 'incremental', false],
      ],
    );
    backup.compare('v');
    backup.assertTidy(1);
  });
});
