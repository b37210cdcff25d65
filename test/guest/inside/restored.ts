// Restores back into a thin pool: as a new volume, and in the place of another, which is kept (G6, I1, I8).

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { lvs, run } from './commands.ts';
import { Backup, type PoolSection } from './guest-backup.ts';
import { rounded, ThinPool } from './thin-pool.ts';
import { Wrappers, type KillAt } from './wrappers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const NAME = 'vm-work-private';
/** Of a volume while it is restored. */
const DRAFT = 'vm-sparsebak-new-';

function activated(pool: ThinPool, name: string): Buffer {
  run('lvchange', '-ay', '-K', `${pool.group}/${name}`);
  return pool.read(name);
}

/** A pool that holds what another volume wrote, wherever it gives out a block. Its blocks are twice as large as our chunks. */
function stalePool(): ThinPool {
  const pool = ThinPool.named('stale-pool', { chunk: '512k', size: '64m' });
  pool.create('junk', 48 * MIB);
  const piece = Buffer.alloc(MIB, 0x55);
  for (let at = 0; at < 48 * MIB; at += MIB) pool.write('junk', at, piece);
  pool.drop('junk');
  return pool;
}

/** Data and zeros in turns, so that blocks of the pool are data in part. */
function patchwork(random: Random, size: number): Buffer {
  const content = Buffer.alloc(size);
  for (let at = 0; at < size; at += 256 * KIB) {
    if (random.once(2)) random.bytes(Math.min(256 * KIB, size - at)).copy(content, at);
  }
  random.bytes(100).copy(content, 0);
  return content;
}

describe('a restore to a new thin volume', () => {
  it('has every byte, zeros behind the end and where the pool had something else, and takes no more', (t) => {
    const pool = stalePool();
    const backup = new Backup(t, { pool, volumes: [] });
    const random = new Random('as');
    const content = patchwork(random, 5 * MIB + 17);
    content.fill(0, MIB, 3 * MIB);
    writeFileSync(join(backup.folder, 'files/odd.raw'), content);
    backup.send(['--full']);
    const as = (name: string): string[] => ['restore', 'odd.raw', '--as', name, '--pool', pool.name];
    const { to } = backup.restore('odd.raw', '--as', NAME, '--pool', pool.name);
    assert.equal(to, `${pool.group}/${NAME}`);
    assert.equal(pool.isActive(NAME), false, 'what a guest wrote is not to be seen');
    const expected = Buffer.concat([content], rounded(content.length));
    assert.ok(activated(pool, NAME).equals(expected));
    assert.ok(pool.mappedBytes(NAME) <= 4 * MIB, 'zeros are not written');
    assert.deepEqual(pool.names(DRAFT), []);
    backup.refused(as(NAME), /exists already/);
    backup.refused(as(pool.name), /exists already/);
    backup.refused(as('x'.repeat(120)), /too long/);
    const used = Number(lvs(pool.group, 'data_percent').get(pool.name));
    backup.configure({ pool, volumes: [], fullAt: used * 1.5 });
    backup.refused(as('vm-other-private'), /would have [\d.]+% of its data in use/);
    assert.deepEqual(pool.names(DRAFT), []);
  });
});

describe('a restore in the place of a thin volume', () => {
  const sent = (t: TestContext): { backup: Backup; pool: ThinPool; section: PoolSection; spoilt: Buffer } => {
    const pool = ThinPool.named('vm-pool');
    const section = { pool, volumes: [NAME] };
    const backup = new Backup(t, section);
    pool.create(NAME, 4 * MIB);
    pool.write(NAME, 0, patchwork(new Random('replace'), 3 * MIB));
    backup.send(['--full']);
    const spoilt = Buffer.alloc(3 * MIB, 0x55);
    pool.resize(NAME, 3 * MIB);
    pool.write(NAME, 0, spoilt);
    return { backup, pool, section, spoilt };
  };
  const replace = ['restore', NAME, '--replace'];

  it('keeps that one, and is refused while it is in use', (t) => {
    const { backup, pool, spoilt } = sent(t);
    pool.clone(NAME, `${NAME}-snap`);
    backup.refused(replace, /its qube runs/);
    pool.rename(`${NAME}-snap`, `${NAME}-import`);
    backup.refused(replace, /importing/);
    pool.drop(`${NAME}-import`);
    const device = openSync(pool.path(NAME), 'r');
    backup.refused(replace, /is open/);
    closeSync(device);
    backup.refused(['restore', NAME, '--replace', '--force'], /--force goes with --to/);
    assert.ok(pool.read(NAME).equals(spoilt), 'nothing happened to it');

    const { kept = '' } = backup.restore(NAME, '--replace');
    assert.match(kept, new RegExp(`^${NAME}-replaced-\\d+$`));
    assert.ok(pool.isActive(NAME), 'as the one that it replaced');
    assert.ok(pool.read(NAME).equals(backup.newest(NAME)));
    assert.ok(pool.read(kept).equals(spoilt));
    // What changes from now on is found, though the volume is another.
    pool.write(NAME, MIB, Buffer.alloc(10, 1));
    assert.deepEqual(
      backup.send().volumes.map(({ name, kind, compared }) => [name, kind, compared]),
      [[NAME, 'incremental', false]],
    );
    backup.compare(NAME);
    pool.drop(NAME);
    backup.refused(replace, /no configured pool has vm-work-private/);
    backup.refused([...replace, '--pool', pool.name], /no volume .* to be replaced/);
    assert.deepEqual(pool.names(DRAFT), []);
  });

  /** What the volume's name stands for after the kill. */
  type After = 'the old' | 'nothing';
  const steps: readonly [string, KillAt | 'while it is written', After, 'the old' | 'the new'][] = [
    ['after the new one is made', { when: 'after', containing: 'lvcreate' }, 'the old', 'the old'],
    ['while it is written', 'while it is written', 'the old', 'the old'],
    ['when it is whole', { when: 'after', containing: '--addtag sparsebak.restored' }, 'the old', 'the old'],
    ['between the two names', { when: 'after', containing: `${NAME} ${NAME}-replaced` }, 'nothing', 'the new'],
  ];

  it('killed at each step: the next run leaves the old volume or the new one, whole', (t) => {
    const { backup, pool, spoilt } = sent(t);
    const wrappers = new Wrappers('/tmp/wrappers');
    for (const [what, kill, after, healed] of steps) {
      if (kill === 'while it is written') {
        backup.killedAt(replace, { from: 'receiver', what: 'done to get-chunks', action: 'kill-agent' });
      } else {
        const ran = backup.try(replace, wrappers.environment(kill));
        assert.equal(ran.signal, 'SIGKILL', `${what}: ${ran.stdout}${ran.stderr}`);
      }
      assert.equal(pool.has(NAME), after === 'the old', what);
      assert.equal(pool.names(DRAFT).length, 1, what);
      backup.monitor();
      assert.deepEqual(pool.names(DRAFT), [], what);
      assert.ok(pool.read(NAME).equals(healed === 'the old' ? spoilt : backup.newest(NAME)), what);
    }
    const [kept = ''] = pool.names(`${NAME}-replaced-`);
    assert.ok(pool.read(kept).equals(spoilt));
    assert.equal(backup.send().volumes[0]?.kind, 'unchanged');
    backup.assertTidy(1);
  });
});
