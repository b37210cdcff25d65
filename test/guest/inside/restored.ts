// Restores back into a thin pool by the program, killed at each step (G6, I1, I8).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { run } from './commands.ts';
import { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { rounded, ThinPool } from './thin-pool.ts';
import { Wrappers, type KillAt } from './wrappers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const NAME = 'vm-work-private';
const REPLACE = ['restore', NAME, '--replace'];
/** Of a volume while it is restored. */
const DRAFT = 'vm-sparsebak-new-';

/** What the volume's name stands for after the kill, and after the next run. */
const STEPS: readonly [string, KillAt | 'while it is written', 'the old' | 'nothing', 'the old' | 'the new'][] = [
  ['after the new one is made', { when: 'after', containing: 'lvcreate' }, 'the old', 'the old'],
  ['while it is written', 'while it is written', 'the old', 'the old'],
  ['when it is whole', { when: 'after', containing: '--addtag sparsebak.restored' }, 'the old', 'the old'],
  ['between the two names', { when: 'after', containing: `${NAME} ${NAME}-replaced` }, 'nothing', 'the new'],
];

describe('a restore into a thin pool', () => {
  it('in the place of a volume, killed at each step: the next run leaves the old one or the new one, whole', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: [NAME] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const random = new Random('replace');
    pool.create(NAME, 4 * MIB);
    for (let at = 0; at < 4 * MIB; at += 512 * KIB) pool.write(NAME, at, noise(random, random.between(1, 512 * KIB)));
    backup.writeFile('odd.raw', noise(random, MIB + 17));
    backup.send(['--full']);
    const spoilt = Buffer.alloc(3 * MIB, 0x55);
    pool.resize(NAME, 3 * MIB);
    pool.write(NAME, 0, spoilt);
    for (const [what, kill, after, healed] of STEPS) {
      if (kill === 'while it is written') {
        backup.killedAtMessage(REPLACE, { from: 'receiver', what: 'done to get-chunks', action: 'kill-agent' });
      } else {
        backup.killedAtCall(REPLACE, wrappers.environment(kill));
      }
      assert.equal(pool.has(NAME), after === 'the old', what);
      assert.equal(pool.names(DRAFT).length, 1, what);
      backup.monitor();
      assert.deepEqual(pool.names(DRAFT), [], what);
      assert.ok(pool.read(NAME).equals(healed === 'the old' ? spoilt : backup.newest(NAME)), what);
    }
    const [killed = ''] = pool.names(`${NAME}-replaced-`);
    assert.ok(pool.read(killed).equals(spoilt));

    // In peace.
    pool.write(NAME, MIB, Buffer.alloc(10, 1));
    const before = pool.read(NAME);
    const { to, kept = '' } = backup.restore(NAME, '--replace');
    assert.equal(to, `${pool.group}/${NAME}`);
    assert.ok(pool.read(NAME).equals(backup.newest(NAME)));
    assert.ok(pool.read(kept).equals(before));
    backup.refused(REPLACE.slice(0, 2), /no place to restore to/);
    const odd = backup.restore('odd.raw', '--as', 'vm-odd-private', '--pool', pool.name);
    assert.equal(odd.to, `${pool.group}/vm-odd-private`);
    run('lvchange', '-ay', odd.to);
    const expected = backup.newest('odd.raw');
    assert.ok(pool.read('vm-odd-private').equals(Buffer.concat([expected], rounded(expected.length))));

    // What changes from now on is found, though the volume is another.
    pool.write(NAME, 2 * MIB, Buffer.alloc(10, 1));
    assert.deepEqual(
      backup.send().volumes.map(({ name, kind, compared }) => [name, kind, compared]),
      [
        ['odd.raw', 'unchanged', true],
        [NAME, 'incremental', false],
      ],
    );
    backup.compare(NAME);
    backup.assertTidy(1);
  });
});
