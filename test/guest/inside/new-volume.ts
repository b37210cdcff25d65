// What a restore makes in a thin pool, byte by byte, and what it refuses to make (G6, I1).

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { LvmThinSource } from '../../../dom0-agent/source/lvm-thin/lvm-thin.ts';
import type { Finished } from '../../../dom0-agent/source/target.ts';
import { Random } from '../../fixtures/random.ts';
import { lvs, run } from './commands.ts';
import { noise } from './noise.ts';
import { rounded, ThinPool } from './thin-pool.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = 256 * KIB;
const NAME = 'vm-work-private';
/** Of a volume while it is restored. */
const DRAFT = 'vm-sparsebak-new-';

function request(name: string, size: number, replaces = false, needed = size) {
  return { name, archived: name, ownership: undefined, size, replaces, bytesIn: () => Promise.resolve(needed) };
}

/** Does what a restore does: chunks of data are written, chunks of zeros told. */
async function restored(source: LvmThinSource, name: string, content: Buffer, replaces = false): Promise<Finished> {
  const target = await source.newVolume(request(name, content.length, replaces));
  const device = openSync(target.path, 'r+');
  for (let at = 0; at < content.length; at += CHUNK) {
    const chunk = content.subarray(at, at + CHUNK);
    if (chunk.every((byte) => byte === 0)) target.zeros?.(at, chunk.length);
    else target.wrote(writeSync(device, chunk, 0, chunk.length, at));
  }
  closeSync(device);
  return await target.finish();
}

/** Every free block of it holds what another volume wrote. */
function stalePool(chunk: string): ThinPool {
  const pool = ThinPool.named(`stale-${chunk}`, { chunk, size: '32m', metadata: '2m' });
  // The pool gives out the blocks behind the last one first: the second begins with those that the first left.
  for (const junk of ['first', 'second']) {
    pool.create(junk, 24 * MIB);
    pool.write(junk, 0, Buffer.alloc(24 * MIB, 0x55));
    pool.drop(junk);
  }
  return pool;
}

describe('a new volume', () => {
  for (const chunk of ['512k', '192k']) {
    it(`has every byte, and zeros where blocks of ${chunk} held something else`, async (t) => {
      const pool = stalePool(chunk);
      t.after(() => pool.clear());
      const random = new Random(`stale ${chunk}`);
      const content = Buffer.alloc(5 * MIB + 17);
      for (let at = 0; at < content.length; at += CHUNK) {
        if (random.once(2)) noise(random, Math.min(CHUNK, content.length - at)).copy(content, at);
      }
      content.fill(0, MIB, 3 * MIB);
      assert.deepEqual(await restored(pool.source, NAME, content), { to: `${pool.group}/${NAME}` });
      assert.equal(pool.isActive(NAME), false, 'what a guest wrote is not to be seen');
      run('lvchange', '-ay', `${pool.group}/${NAME}`);
      // LVM rounds sizes up.
      assert.ok(pool.read(NAME).equals(Buffer.concat([content], rounded(content.length))));
      assert.ok(pool.mappedBytes(NAME) <= 4 * MIB, 'zeros take no room');
      assert.equal(lvs(pool.group, 'lv_tags').get(NAME), '');
      assert.deepEqual(pool.names(DRAFT), []);
    });
  }

  it('is not made where the name is taken or no name, or the pool would be too full (L5)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    pool.create(NAME, MIB);
    for (const [name, message] of [
      [NAME, /exists already/],
      [pool.name, /exists already/],
      ['-x', /cannot be the name/],
      [`vm-sparsebak-${'0'.repeat(32)}`, /cannot be the name/],
    ] as const) {
      await assert.rejects(pool.source.newVolume(request(name, MIB)), { message });
    }
    const long = 'x'.repeat(110);
    pool.create(long, MIB);
    await assert.rejects(pool.source.newVolume(request(long, MIB, true)), { message: /cannot be the name/ });
    await assert.rejects(pool.source.newVolume(request('large', 2 ** 40)), { message: /of its data in use/ });
    const used = Number(lvs(pool.group, 'metadata_percent').get(pool.name));
    const narrow = pool.sourceWith({ full_at: used + 0.1 });
    await assert.rejects(narrow.newVolume(request('many', 64 * MIB)), { message: /of its metadata in use/ });
    assert.deepEqual(pool.names(DRAFT), []);
  });

  it('that was given up is gone, and so is one whose writer was killed', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const target = await pool.source.newVolume(request(NAME, MIB));
    assert.equal(pool.names(DRAFT).length, 1);
    await pool.source.leftovers();
    assert.equal(pool.names(DRAFT).length, 1, 'one that is being written is left alone');
    await target.abandon();
    const tag = `sparsebak.restoring=${NAME}`;
    const dead = `${DRAFT}${'0'.repeat(32)}`;
    run('lvcreate', '-ky', '-an', '--thin', '-V', '1m', '--addtag', tag, '-n', dead, `${pool.group}/${pool.name}`);
    await pool.sourceWith({}).leftovers();
    assert.deepEqual(pool.names(DRAFT), []);
  });
});

describe('a volume that takes the place of another', () => {
  it('does so unless that one is in use, or became another meanwhile', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    const random = new Random('replaced');
    pool.create(NAME, MIB);
    const old = noise(random, MIB);
    pool.write(NAME, 0, old);
    const refused = async (message: RegExp): Promise<void> => {
      await assert.rejects(pool.source.newVolume(request(NAME, MIB, true)), { message });
    };
    pool.clone(NAME, `${NAME}-snap`);
    await refused(/its qube is running/);
    pool.rename(`${NAME}-snap`, `${NAME}-import`);
    await refused(/importing/);
    pool.drop(`${NAME}-import`);
    const device = openSync(pool.path(NAME), 'r');
    await refused(/it is open/);
    closeSync(device);

    const started = await pool.source.newVolume(request(NAME, MIB, true));
    pool.clone(NAME, `${NAME}-snap`);
    await assert.rejects(started.finish(), { message: /its qube is running/ });
    await started.abandon();
    pool.drop(`${NAME}-snap`);
    const late = await pool.source.newVolume(request(NAME, MIB, true));
    pool.rename(NAME, 'aside');
    pool.create(NAME, MIB);
    await assert.rejects(late.finish(), { message: /was replaced while/ });
    await late.abandon();
    pool.drop(NAME);
    pool.rename('aside', NAME);
    assert.ok(pool.read(NAME).equals(old), 'nothing happened to it');

    const content = noise(random, 2 * MIB);
    const { kept } = await restored(pool.source, NAME, content, true);
    assert.ok(pool.read(NAME).equals(content));
    assert.match(kept?.name ?? '', new RegExp(`^${NAME}-replaced-\\d+$`));
    assert.ok(pool.read(kept?.name ?? '').equals(old));
    run('sh', '-c', `${kept?.removal ?? 'false'} --yes`);
    assert.deepEqual(pool.names('vm-'), [pool.name, NAME].sort());
    pool.drop(NAME);
    await refused(/no volume .* to be replaced/);
    assert.deepEqual(pool.names(DRAFT), []);
  });
});

describe('a pool whose metadata are nearly full (L5)', () => {
  it('is not snapshotted, and what to enlarge is said', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    pool.create('v', MIB);
    const used = Number(lvs(pool.group, 'metadata_percent').get(pool.name));
    const source = pool.sourceWith({ full_at: used / 2 });
    assert.equal(await source.hasRoom(), false);
    await assert.rejects(source.snapshot(['v']), {
      message: /% of its metadata in use/,
      hint: /lvextend --poolmetadatasize/,
    });
    assert.deepEqual(pool.ownSnapshots(), []);
    assert.equal(await pool.source.hasRoom(), true);
  });
});
