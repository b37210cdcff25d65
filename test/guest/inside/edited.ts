// Volumes of every shape, edited at random, monitored, sent and restored.

import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { run } from './commands.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { GROUP, ThinPool } from './thin-pool.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Of the archive. */
const CHUNK = 256 * KIB;

describe('volumes of every shape', () => {
  it('edited, monitored and sent: each is restored as it was (L6, L14, L15, L16, L19)', (t) => {
    const pool = ThinPool.named('vm-pool');
    const coarse = ThinPool.named('large-pool', { chunk: '512k', size: '512m' });
    const random = new Random('shapes');
    external(pool, 'image', noise(random, 2 * MIB));
    const backup = new Backup(
      t,
      { pool, volumes: ['sized', 'edges', 'origin', 'shares', 'of-image'] },
      { pool: coarse, volumes: ['coarse'] },
    );
    // After the volume that was made of it.
    t.after(() => run('lvremove', '--yes', `${GROUP}/image`));
    pool.create('edges', 4 * MIB + 64 * KIB);
    for (const name of ['sized', 'origin']) pool.create(name, 4 * MIB);
    coarse.create('coarse', 5 * MIB + 64 * KIB);
    for (const name of ['sized', 'origin']) pool.write(name, 0, noise(random, 3 * MIB));
    pool.write('edges', MIB, noise(random, 2 * MIB));
    coarse.write('coarse', 0, noise(random, 3 * MIB));
    pool.clone('origin', 'shares');
    const sent = backup.send(['--full']);
    assert.ok(sent.volumes.length === 6 && sent.volumes.every(({ kind }) => kind === 'full'));

    const scatter = (where: ThinPool, name: string): void => {
      for (let edit = 0; edit < 3; edit++) {
        const offset = random.int(where.size(name) - 100_000);
        // The last is a write, or all might be as it was.
        if (edit < 2 && random.once(2)) where.discard(name, { offset, length: random.between(1, 900 * KIB) });
        else where.write(name, offset, random.bytes(random.between(1, 100_000)));
      }
    };
    /** Trimmed and written to, just beside where a chunk of ours ends. */
    const cross = (): void => {
      const edge = CHUNK * random.between(4, 10);
      pool.discard('edges', { offset: edge - 128 * KIB, length: 192 * KIB });
      pool.write('edges', edge - random.between(1, 5000), random.bytes(random.between(1, 10_000)));
      pool.discard('edges', { offset: edge + CHUNK, length: 2 * CHUNK });
    };
    const rounds: (() => void)[] = [
      () => pool.resize('sized', MIB + 64 * KIB),
      () => {
        // What was cut off comes back.
        pool.resize('sized', 4 * MIB);
        pool.write('sized', random.int(3 * MIB), random.bytes(100));
      },
      () => {
        pool.resize('sized', 2 * MIB);
        pool.resize('sized', 6 * MIB);
        pool.write('sized', 6 * MIB - 10, Buffer.alloc(10, 1));
      },
    ];
    for (const [round, resize] of rounds.entries()) {
      resize();
      cross();
      for (const name of ['origin', 'shares', 'of-image']) scatter(pool, name);
      scatter(coarse, 'coarse');
      if (round === 0) {
        // Of one that was only cut short nothing changed in what is left.
        for (const { name, kind, changedBytes = 0 } of backup.monitor()) {
          assert.deepEqual([kind, changedBytes > 0], ['monitored', name !== 'sized'], name);
        }
        continue;
      }
      // The newer thin tools take turns with the installed.
      const { PATH } = process.env;
      const { volumes } = backup.send([], round === 1 ? { PATH: `/opt/thin-tools:${PATH ?? ''}` } : {});
      for (const { name, kind, compared, error } of volumes) {
        assert.deepEqual([kind, compared], ['incremental', false], `${name}: ${error?.message ?? ''}`);
      }
    }
    backup.assertTidy(6);
    for (const name of ['sized', 'edges', 'origin', 'shares', 'of-image', 'coarse']) backup.compare(name);
  });

  it('three terabytes cost what is in them (L15)', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: [] });
    pool.create('huge', 3 * 2 ** 40);
    pool.write('huge', 2 ** 41 + 5, noise(new Random('huge'), 300_000));
    backup.configure({ pool, volumes: ['huge'] });
    // No copy is kept of this one.
    const sent = JSON.parse(backup.run(['--json', 'send', '--full']).stdout) as { volumes: { sentBytes: number }[] };
    assert.ok((sent.volumes[0]?.sentBytes ?? Infinity) < 2 * MIB);
    const target = join(backup.folder, 'restored');
    backup.run(['restore', 'huge', '--to', target]);
    assert.equal(statSync(target).size, 3 * 2 ** 40);
    assert.ok(statSync(target).blocks * 512 < 2 * MIB);
    const part = ['bs=1M', `skip=${2 ** 21}`, 'count=1'].join(' ');
    run('sh', '-c', `dd if=${target} of=/tmp/a ${part}; dd if=${pool.path('huge')} of=/tmp/b ${part}`);
    run('cmp', '/tmp/a', '/tmp/b');
    rmSync(target);
  });
});

/** A volume outside the pool, and a thin one that shows it through. */
function external(pool: ThinPool, name: string, content: Buffer): void {
  run('lvcreate', '-Wn', '-n', name, '-L', `${content.length}b`, GROUP);
  const device = openSync(pool.path(name), 'r+');
  writeSync(device, content);
  closeSync(device);
  run('lvchange', '-an', `${GROUP}/${name}`);
  run('lvchange', '-pr', `${GROUP}/${name}`);
  const options = ['-kn', '-ay', '-s', '--thinpool', `${GROUP}/${pool.name}`];
  run('lvcreate', ...options, '-n', `of-${name}`, `${GROUP}/${name}`);
}
