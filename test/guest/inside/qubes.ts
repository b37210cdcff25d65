// A qube's volumes through their life, backed up and restored.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
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
  it('started, stopped, reverted, renamed, deleted: each session is restored as it was (L3, L6, L9, L16, L17)', (t) => {
    const pool = ThinPool.named('vm-pool');
    const volumes = ['vm-*-private', 'vm-f--39-root'];
    const backup = new Backup(t, { pool, volumes });
    const wrappers = new Wrappers('/tmp/wrappers');
    const random = new Random('qube');
    const volume = new QubeVolume(pool, 'vm-my-work-private', 12 * MIB);
    pool.write(volume.name, 0, noise(random, 6 * MIB));
    const root = new QubeVolume(pool, 'vm-f--39-root', 2 * MIB);
    pool.write(root.name, 0, noise(random, MIB));
    pool.create(`${volume.name}-import`, MIB);
    backup.built = true;
    const first = backup.send(['--full'], wrappers.environment());
    assert.deepEqual(
      first.volumes.map(({ name, kind }) => [name, kind]),
      [root.name, volume.name].map((name) => [name, 'full']),
    );
    const active = wrappers.calls().map((call) => call.active);
    assert.ok(Math.max(...active) === 1 && active.at(-1) === 0, 'one is active at a time, only while it is read');
    backup.assertTidy(2);
    backup.built = false;

    const changed = (status = 0): unknown =>
      Object.fromEntries(
        backup
          .monitor(wrappers.environment(), status)
          .map(({ name, kind, changedBytes }) => [name, changedBytes ?? kind]),
      );
    volume.start();
    pool.write(volume.snap, MIB, random.bytes(100_000));
    assert.deepEqual(changed(), { [root.name]: 0, [volume.name]: 0 }, 'it is as it was when the qube started');
    assert.deepEqual(backup.running(), [volume.name]);
    assert.ok(
      wrappers.calls().every((call) => call.active === 0),
      'to compare snapshots none is activated',
    );
    volume.stop(() => {
      const told = { [root.name]: 0, [volume.name]: 'missing' };
      assert.deepEqual(changed(3), told, 'missing for longer than a moment');
    });
    pool.drop(`${volume.name}-import`);
    assert.deepEqual(changed(), { [root.name]: 0, [volume.name]: 128 * KIB }, 'another device of the same name');
    backup.assertTidy(2);
    const stopped = backup.send();
    assert.deepEqual(
      stopped.volumes.map(({ kind, compared }) => [kind, compared]),
      [
        ['unchanged', false],
        ['incremental', false],
      ],
    );

    volume.revert();
    pool.write(volume.name, 3 * MIB, random.bytes(5));
    // A template's root is written to while it runs, and is what it was until it stops.
    root.start();
    pool.write(root.snap, 500_000, random.bytes(70_000));
    backup.configure({ pool, volumes, state: 'running' });
    const running = backup.send();
    assert.deepEqual(
      running.volumes.map(({ kind, compared }) => [kind, compared]),
      [
        ['incremental', false],
        ['incremental', false],
      ],
    );
    root.stop();
    pool.write(root.name, MIB, random.bytes(3));
    const office = 'vm-office-private';
    pool.rename(volume.name, office);
    const skipped = backup.send([], {}, 3);
    assert.deepEqual(
      skipped.volumes.map(({ name, kind }) => [name, kind]),
      [
        [root.name, 'incremental'],
        [volume.name, 'failed'],
        [office, 'skipped'],
      ],
    );
    backup.assertTidy(2);
    backup.compare(volume.name, 'all');
    backup.compare(root.name);

    backup.built = true;
    backup.run(['rename', volume.name, office]);
    pool.write(office, 4 * MIB, random.bytes(5));
    const renamed = backup.send();
    assert.deepEqual(
      renamed.volumes.map(({ name, kind, compared }) => [name, kind, compared]),
      [
        [root.name, 'unchanged', false],
        [office, 'incremental', false],
      ],
    );
    backup.compare(office);
    pool.drop(office);
    backup.run(['delete', office, '--yes']);
    backup.assertTidy(1);
  });

  it('has its snapshot replaced by another of its name or number: compared in full (L3, L8)', (t) => {
    const pool = ThinPool.named('vm-pool');
    const other = ThinPool.named('b-pool', { size: '256m' });
    const volumes = ['v', 'w'];
    const backup = new Backup(t, { pool, volumes }, { pool: other, volumes: [] });
    const random = new Random('impostors');
    for (const name of volumes) {
      pool.create(name, 3 * MIB);
      pool.write(name, 0, noise(random, 2 * MIB));
    }
    backup.send(['--full']);
    const compared = (names: readonly string[]): void => {
      assert.deepEqual(
        backup.send().volumes.map(({ name, kind, compared: inFull }) => [name, kind, inFull]),
        names.map((name) => [name, 'incremental', true]),
      );
      for (const name of names) backup.compare(name);
    };
    for (const name of volumes) pool.write(name, MIB, random.bytes(10_000));
    // A snapshot of the same name, from which nothing differs.
    const tick = pool.snapshotOf('v');
    pool.drop(tick);
    pool.clone('v', tick);
    // Another device under the other's number in the pool, behind LVM's back.
    const thinId = pool.thinId(pool.snapshotOf('w'));
    pool.message(`delete ${thinId}`);
    pool.message(`create_snap ${thinId} ${pool.thinId('w')}`);
    compared(volumes);
    // A volume moves.
    const content = pool.read('v');
    pool.drop('v');
    other.create('v', 3 * MIB);
    other.write('v', 0, content);
    other.write('v', 5000, random.bytes(10));
    backup.configure({ pool: other, volumes: ['v'] });
    compared(['v']);
  });
});
