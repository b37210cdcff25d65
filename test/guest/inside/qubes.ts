// A qube's volume through its life, backed up and restored by the two programs.

import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { run } from './commands.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers } from './wrappers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** What Qubes does with a volume that is kept over stops. */
class QubeVolume {
  readonly #pool: ThinPool;
  readonly name: string;
  #revision = 1700000000;

  constructor(pool: ThinPool, name: string, size: number) {
    this.#pool = pool;
    this.name = name;
    pool.create(name, size);
  }

  get snap(): string {
    return `${this.name}-snap`;
  }

  get lastRevision(): string {
    return `${this.name}-${this.#revision}-back`;
  }

  start(): void {
    this.#pool.clone(this.name, this.snap);
  }

  /** Between its two steps there is no volume of that name. @param meanwhile what happens then */
  stop(meanwhile: () => void = () => undefined): void {
    this.#revision += 1;
    this.#pool.rename(this.name, this.lastRevision);
    meanwhile();
    this.#pool.rename(this.snap, this.name);
  }

  revert(): void {
    this.#pool.drop(this.name);
    this.#pool.clone(this.lastRevision, this.name);
  }
}

describe('a qube that is backed up', () => {
  it('full, monitored, stopped, reverted, unchanged: every session is restored as it was (L6, L9, L16)', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['vm-*-private'] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const random = new Random('qube');
    const volume = new QubeVolume(pool, 'vm-my-work-private', 12 * MIB);
    pool.write(volume.name, 0, random.bytes(6 * MIB));
    assert.deepEqual(
      backup.send(['--full'], wrappers.environment()).volumes.map(({ kind }) => kind),
      ['full'],
    );
    const active = wrappers.calls().map((call) => call.active);
    assert.ok(Math.max(...active) === 1 && active.at(-1) === 0, 'active only while it is read');
    backup.assertTidy(1);

    volume.start();
    pool.write(volume.snap, MIB, random.bytes(100_000));
    assert.equal(backup.monitor()[0]?.changedBytes, 0, 'the volume itself is as it was when the qube started');
    volume.stop(() => {
      assert.deepEqual(backup.monitor(), [], 'missing for a moment');
    });
    backup.assertTidy(1);
    assert.equal(backup.monitor()[0]?.changedBytes, 128 * KIB);
    const stopped = backup.send();
    assert.deepEqual(
      stopped.volumes.map(({ kind, compared }) => [kind, compared]),
      [['incremental', false]],
    );

    volume.revert();
    pool.write(volume.name, 3 * MIB, random.bytes(5));
    const reverted = backup.send();
    assert.deepEqual(
      reverted.volumes.map(({ kind, compared }) => [kind, compared]),
      [['incremental', false]],
    );
    assert.equal(backup.send().volumes[0]?.kind, 'unchanged');
    backup.compare(volume.name, 'all');
    backup.assertTidy(1);
  });

  it('while it runs: what it writes is captured (state = "running")', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['vm-*-private'], state: 'running' });
    const random = new Random('running');
    const volume = new QubeVolume(pool, 'vm-run-private', 4 * MIB);
    pool.write(volume.name, 0, random.bytes(2 * MIB));
    volume.start();
    pool.write(volume.snap, MIB, random.bytes(70_000));
    backup.send(['--full']);
    volume.stop();
    pool.write(volume.name, 3 * MIB, random.bytes(3));
    assert.equal(backup.send().volumes[0]?.kind, 'incremental');
    backup.compare(volume.name, 'all');
    backup.assertTidy(1);
  });

  it('shrunk, and grown by what was cut off', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['v'] });
    const random = new Random('resized');
    pool.create('v', 8 * MIB);
    pool.write('v', 0, random.bytes(8 * MIB));
    backup.send(['--full']);
    pool.resize('v', 3 * MIB + 64 * KIB);
    backup.monitor();
    pool.resize('v', 8 * MIB);
    assert.equal(backup.send().volumes[0]?.kind, 'incremental');
    backup.compare('v');
  });

  it('with a volume of a terabyte costs what is in it', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, pool, { volumes: ['huge'] });
    pool.create('huge', 2 ** 40);
    pool.write('huge', 2 ** 39 + 5, new Random('huge').bytes(300_000));
    const sent = JSON.parse(backup.run(['--json', 'send', '--full']).stdout) as { volumes: { sentBytes: number }[] };
    assert.ok((sent.volumes[0]?.sentBytes ?? Infinity) < 2 * MIB);
    const target = join(backup.folder, 'restored');
    backup.run(['restore', 'huge', '--to', target]);
    assert.equal(statSync(target).size, 2 ** 40);
    assert.ok(statSync(target).blocks * 512 < 2 * MIB);
    const part = ['bs=1M', `skip=${2 ** 19}`, 'count=1'];
    run(
      'sh',
      '-c',
      `dd if=${target} of=/tmp/a ${part.join(' ')}; dd if=${pool.path('huge')} of=/tmp/b ${part.join(' ')}`,
    );
    run('cmp', '/tmp/a', '/tmp/b');
    rmSync(target);
  });
});

describe('a pool that is nearly full (L5)', () => {
  it('is not snapshotted, and our own snapshots go first', (t) => {
    const pool = ThinPool.named('small-pool', { size: '40m', metadata: '4m' });
    const backup = new Backup(t, pool, { volumes: ['v'] });
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
    backup.configure({ fullAt: 5 });
    const refused = backup.try(['send']);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout + refused.stderr, /% of its (meta)?data in use/);
    backup.assertTidy(0);
  });
});
