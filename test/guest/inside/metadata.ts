// What a pool's metadata go through, and who else may hold them.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assertCovers } from '../../dom0-agent/source/oracle.ts';
import { contentOf, snapshotOf } from '../../dom0-agent/source/conformance.ts';
import { withFake } from '../../dom0-agent/process/fake-program.ts';
import { Random } from '../../fixtures/random.ts';
import { lvs, run } from './commands.ts';
import { noise } from './noise.ts';
import { ThinPool } from './thin-pool.ts';

const MIB = 1024 * 1024;
const RECORD = '/tmp/state/lvm-thin/qubes_dom0-vm--pool.reserved.json';

function scratch(): string {
  return mkdtempSync('/tmp/fake-');
}

async function editedPair(pool: ThinPool, seed: string) {
  const random = new Random(seed);
  pool.create('v', 4 * MIB);
  pool.write('v', 0, noise(random, 2 * MIB));
  const older = await snapshotOf(pool.source, 'v');
  const before = pool.read('v');
  pool.write('v', 100_000, noise(random, 300_000));
  pool.discard('v', { offset: MIB, length: 200_000 });
  const newer = await snapshotOf(pool.source, 'v');
  return { older, newer, before, after: pool.read('v') };
}

describe('the reserved copy of the metadata', () => {
  it('of another program is waited for, then respected (L4)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const { older, newer } = await editedPair(pool, 'held');
    pool.message('reserve_metadata_snap');
    const held = pool.status();
    await assert.rejects(pool.source.delta(older, newer), { code: 'source', message: /another program/ });
    assert.deepEqual(await pool.source.mapped(newer), { kind: 'all' });
    assert.equal(pool.status(), held, 'it was left alone');
    const patient = pool.sourceWith({ patience: 60 });
    setTimeout(() => pool.message('release_metadata_snap'), 2000);
    assert.equal((await patient.delta(older, newer)).kind, 'ranges');
    assert.equal(pool.isReserved, false);
  });

  it('of a killed run of ours is released by the next, another one is not (L4, I8)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    pool.create('v', MIB);
    pool.message('reserve_metadata_snap');
    const held = / (\d+) rw /.exec(pool.status())?.[1];
    mkdirSync('/tmp/state/lvm-thin', { recursive: true });
    writeFileSync(RECORD, JSON.stringify({ v: 1, held: Number(held) + 1 }));
    await assert.rejects(pool.source.snapshot(['v']), { code: 'source', message: /another program/ });
    assert.ok(pool.isReserved, 'recorded is another');
    writeFileSync(RECORD, JSON.stringify({ v: 1, held: Number(held) }));
    await snapshotOf(pool.source, 'v');
    assert.equal(pool.isReserved, false);
    assert.ok(!readdirSync('/tmp/state/lvm-thin').some((name) => name.endsWith('.json')));
    // Killed just between the reservation and its record.
    pool.message('reserve_metadata_snap');
    writeFileSync(RECORD, '');
    await pool.source.leftovers();
    assert.equal(pool.isReserved, false);
  });

  it('exchanged by another while thin_delta reads makes the delta void (L21)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const { older, newer } = await editedPair(pool, 'exchanged');
    const swap = ['release', 'reserve'].map((what) => `dmsetup message ${pool.device} 0 ${what}_metadata_snap`);
    const script = [...swap, 'exec /usr/sbin/thin_delta "$@"'].join('\n');
    const delta = await withFake(scratch(), 'thin_delta', script, () => pool.source.delta(older, newer));
    assert.deepEqual(delta, {
      kind: 'unknown',
      reason: "the pool's metadata were reserved again while they were read",
    });
    assert.ok(pool.isReserved, "the other's was left alone");
    pool.message('release_metadata_snap');
    assert.equal((await pool.source.delta(older, newer)).kind, 'ranges');
  });
});

describe('thin_delta', () => {
  it('that is missing, fails, is cut short, says more or less, makes no delta (L1, L2)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const { older, newer, before, after } = await editedPair(pool, 'faults');
    const real = '/usr/sbin/thin_delta "$@"';
    const scripts = [
      'exit 127',
      `${real}; exit 1`,
      `${real} | head -c 200`,
      `${real} | head -n -1`,
      `${real} | sed '/different/d'`,
      `${real} | sed '/left_only/d'`,
      `${real} | sed 's/same/equal/'`,
      `${real} | sed 's/different/same/' | sed '3d'`,
      `${real}; echo oops`,
      'kill -9 $$',
      'true',
    ];
    for (const script of scripts) {
      const delta = await withFake(scratch(), 'thin_delta', script, () => pool.source.delta(older, newer));
      assert.equal(delta.kind, 'unknown', script);
      assert.equal(pool.isReserved, false);
    }
    const known = await pool.source.delta(older, newer);
    assert.equal(known.kind, 'ranges');
    assertCovers(known, after, before, 'as it is');
  });
});

describe('a snapshot that was replaced (L3)', () => {
  it('by another of its name, or of its number in the pool, is not believed', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const { older, newer } = await editedPair(pool, 'impostor');
    const [nameOfOlder, nameOfNewer] = [older, newer].map(({ id }) => `vm-sparsebak-${id}`) as [string, string];
    // The newest number is given again.
    pool.drop(nameOfNewer);
    run('lvcreate', '-an', '-ky', '-pr', '-s', '-n', nameOfNewer, `${pool.group}/v`);
    assert.equal(lvs(pool.group, 'thin_id').get(nameOfNewer), String(newer.binding.thinId));
    assert.equal(await pool.source.exists(newer), false);
    assert.equal((await pool.source.delta(older, newer)).kind, 'unknown');
    await assert.rejects(pool.source.open(newer), { code: 'source' });
    await pool.source.remove([newer]);
    assert.ok(lvs(pool.group, 'lv_uuid').has(nameOfNewer), 'what is not ours stays');
    // Another device under the same number, behind LVM's back.
    const again = await snapshotOf(pool.source, 'v');
    pool.message(`delete ${older.binding.thinId}`);
    pool.message(`create_snap ${older.binding.thinId} ${again.binding.thinId}`);
    assert.ok(await pool.source.exists(older), 'LVM knows nothing of it');
    assert.equal((await pool.source.delta(older, again)).kind, 'unknown');
    assert.deepEqual(await pool.source.mapped(older), { kind: 'all' });
    assert.ok(lvs(pool.group, 'lv_uuid').has(nameOfOlder));
  });

  it('or looked for in another pool is not there (L8)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    const other = ThinPool.named('b-pool', { group: 'my-group', disk: 'other', size: '256m' });
    t.after(() => {
      pool.clear();
      other.clear();
    });
    const names = ['x--y-z', 'v'];
    for (const each of [pool, other]) for (const name of names) each.create(name, MIB);
    const [here, there] = [await snapshotOf(pool.source, 'v'), await snapshotOf(other.source, 'x--y-z')];
    assert.equal(await other.source.exists(here), false);
    assert.equal(await pool.source.exists(there), false);
    assert.equal((await other.source.delta(there, here)).kind, 'unknown');
    await other.source.remove([here]);
    assert.ok(await pool.source.exists(here));
    // Names with hyphens, which device-mapper doubles.
    other.write('x--y-z', 70_000, Buffer.alloc(10, 1));
    const later = await snapshotOf(other.source, 'x--y-z');
    assert.deepEqual(await contentOf(other.source, later), other.read('x--y-z'));
    const delta = await other.source.delta(there, later);
    assert.ok(delta.kind === 'ranges' && delta.bytes === 65536);
    assert.deepEqual(await other.source.mapped(later), { kind: 'ranges', ranges: [{ offset: 65536, length: 65536 }] });
  });
});
