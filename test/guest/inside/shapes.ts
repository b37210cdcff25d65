// Pools and volumes of every shape: sizes that change, large and small chunks of the pool, shared blocks, volumes
// outside the pool.

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Delta } from '../../../dom0-agent/source/source.ts';
import { contentOf, snapshotOf } from '../../dom0-agent/source/conformance.ts';
import { assertCovers, assertDelta } from '../../dom0-agent/source/oracle.ts';
import { Random } from '../../fixtures/random.ts';
import { run } from './commands.ts';
import { noise } from './noise.ts';
import { GROUP, ThinPool } from './thin-pool.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

function bytesOf(delta: Delta): number {
  if (delta.kind === 'unknown') throw new Error(delta.reason);
  return delta.bytes;
}

describe('volumes that change their size (L6, L14)', () => {
  it('grown, shrunk, shrunk and grown: no byte is left out', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const random = new Random('sizes');
    pool.create('v', 3 * MIB);
    pool.write('v', 0, noise(random, 3 * MIB));
    let tick = await snapshotOf(pool.source, 'v');
    let before = pool.read('v');
    const steps: [string, () => void][] = [
      ['shrunk', () => pool.resize('v', MIB + 64 * KIB)],
      ['grown again', () => pool.resize('v', 3 * MIB)],
      [
        'shrunk and grown between two looks',
        () => {
          pool.resize('v', MIB);
          pool.resize('v', 4 * MIB);
        },
      ],
      ['written at the end', () => pool.write('v', 4 * MIB - 10, Buffer.alloc(10, 1))],
      [
        'discarded and written across the edges of chunks',
        () => {
          pool.discard('v', { offset: 60 * KIB, length: 136 * KIB });
          pool.write('v', 120 * KIB, random.bytes(16 * KIB));
          pool.discard('v', { offset: MIB, length: MIB });
        },
      ],
    ];
    for (const [what, change] of steps) {
      change();
      const tock = await snapshotOf(pool.source, 'v');
      const after = pool.read('v');
      const delta = await pool.source.delta(tick, tock);
      assert.equal(delta.kind, 'ranges', what);
      assertDelta(delta, after, before, what);
      if (what === 'grown again') assertCovers(await pool.source.mapped(tock), after, Buffer.alloc(0), what);
      [tick, before] = [tock, after];
    }
  });

  it('a volume of a terabyte costs what is in it', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    pool.create('huge', 2 ** 40);
    pool.write('huge', 2 ** 39 + 5, Buffer.alloc(100, 1));
    const snapshot = await snapshotOf(pool.source, 'huge');
    assert.equal(snapshot.size, 2 ** 40);
    assert.deepEqual(await pool.source.mapped(snapshot), {
      kind: 'ranges',
      ranges: [{ offset: 2 ** 39, length: 65536 }],
    });
  });
});

describe("chunks of the pool's own size", () => {
  it('larger than ours: whole ones are changed, and none is left out (L8, L14)', async (t) => {
    const pool = ThinPool.named('large-pool', { chunk: '512k', size: '512m' });
    t.after(() => pool.clear());
    const random = new Random('512k');
    pool.create('v', 5 * MIB + 64 * KIB);
    pool.write('v', 0, noise(random, 3 * MIB));
    let tick = await snapshotOf(pool.source, 'v');
    let before = pool.read('v');
    for (let round = 0; round < 3; round++) {
      for (let edit = 0; edit < 3; edit++) {
        const offset = random.int(4 * MIB);
        // The first is never a discard: three of them may find nothing to take away.
        if (edit > 0 && random.once(3)) pool.discard('v', { offset, length: 700 * KIB });
        else pool.write('v', offset, random.bytes(random.between(1, 5000)));
      }
      const tock = await snapshotOf(pool.source, 'v');
      const after = pool.read('v');
      const delta = await pool.source.delta(tick, tock);
      assert.ok(bytesOf(delta) > 0);
      assertCovers(delta, after, before, `round ${String(round)}`);
      [tick, before] = [tock, after];
    }
    assertCovers(await pool.source.mapped(tick), before, Buffer.alloc(0), 'mapped');
  });
});

describe('the newer thin tools', () => {
  it('say the same as the installed', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const random = new Random('newer tools');
    pool.create('v', 4 * MIB);
    pool.write('v', 0, noise(random, 2 * MIB));
    const tick = await snapshotOf(pool.source, 'v');
    const before = pool.read('v');
    for (let edit = 0; edit < 5; edit++)
      pool.write('v', random.int(4 * MIB - 5000), random.bytes(random.between(1, 5000)));
    pool.discard('v', { offset: 64 * KIB, length: 300 * KIB });
    const tock = await snapshotOf(pool.source, 'v');
    const installed = [await pool.source.delta(tick, tock), await pool.source.mapped(tock)];
    const { PATH } = process.env;
    process.env.PATH = `/opt/thin-tools:${PATH ?? ''}`;
    try {
      if (!run('thin_delta', '--version').startsWith('1.')) {
        t.skip('machine: Debian 13 cannot be reached');
        return;
      }
      assert.deepEqual([await pool.source.delta(tick, tock), await pool.source.mapped(tock)], installed);
    } finally {
      process.env.PATH = PATH;
    }
    assertCovers(installed[0]!, pool.read('v'), before, 'both');
    assert.ok(bytesOf(installed[0] as Delta) > 0);
  });
});

describe('volumes that share blocks', () => {
  it('differ where their blocks do, whichever was made of which', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const random = new Random('shared');
    pool.create('a', 2 * MIB);
    pool.write('a', 0, noise(random, 2 * MIB));
    const a = await snapshotOf(pool.source, 'a');
    pool.clone('a', 'b');
    pool.write('b', 200_000, Buffer.alloc(10, 1));
    const b = await snapshotOf(pool.source, 'b');
    assert.equal(bytesOf(await pool.source.delta(a, b)), 65536);
    assert.equal(bytesOf(await pool.source.delta(b, a)), 65536);
    assertCovers(await pool.source.delta(a, b), pool.read('b'), pool.read('a'), 'shared');
    pool.drop('a');
    assert.deepEqual(await contentOf(pool.source, b), pool.read('b'));
  });
});

describe('a volume outside the pool that shows through (L19)', () => {
  it('is read in full, and no delta joins two of them', async (t) => {
    const pool = ThinPool.named('vm-pool');
    const random = new Random('external');
    for (const name of ['image', 'other']) {
      run('lvcreate', '-Wn', '-n', name, '-L', '2m', GROUP);
      const device = openSync(pool.path(name), 'r+');
      writeSync(device, noise(random, 2 * MIB));
      closeSync(device);
      run('lvchange', '-an', `${GROUP}/${name}`);
      run('lvchange', '-pr', `${GROUP}/${name}`);
      run(
        'lvcreate',
        '-kn',
        '-ay',
        '-s',
        '--thinpool',
        `${GROUP}/${pool.name}`,
        '-n',
        `of-${name}`,
        `${GROUP}/${name}`,
      );
    }
    t.after(() => {
      pool.clear();
      for (const name of ['image', 'other']) run('lvremove', '--yes', `${GROUP}/${name}`);
    });
    const tick = await snapshotOf(pool.source, 'of-image');
    const before = pool.read('of-image');
    assert.notEqual(tick.binding.external, '');
    assert.deepEqual(await pool.source.mapped(tick), { kind: 'all' });
    assert.deepEqual(await contentOf(pool.source, tick), before);
    pool.write('of-image', 70_000, Buffer.alloc(10, 1));
    const tock = await snapshotOf(pool.source, 'of-image');
    const delta = await pool.source.delta(tick, tock);
    assert.equal(bytesOf(delta), 65536);
    assertCovers(delta, pool.read('of-image'), before, 'external');
    const other = await snapshotOf(pool.source, 'of-other');
    assert.equal((await pool.source.delta(tick, other)).kind, 'unknown');
  });
});
