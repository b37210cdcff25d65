// What every source must do, whatever is behind it. A pool to run it on says how its volumes are changed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { ByteRange, Delta, Outcome, SnapshotRef, Source } from '../../../dom0-agent/source/source.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { Random } from '../../fixtures/random.ts';
import { assertCovers, assertDelta } from './oracle.ts';

export interface PoolUnderTest {
  /** Names are not paths, and sizes are rounded up to what the pool counts in. */
  readonly flat?: boolean;
  /** How often a test tries again with other random data; less where each costs seconds. */
  readonly rounds?: number;
  readonly source: Source;
  /** A volume of that size, all zeros; folders in its name are made. */
  create(name: string, size: number): void;
  write(name: string, offset: number, bytes: Uint8Array): void;
  /** Makes zeros without writing them, if that can be had. */
  discard(name: string, range: ByteRange): void;
  resize(name: string, size: number): void;
  drop(name: string): void;
  read(name: string): Buffer;
}

const KIB = 1024;
const MIB = 1024 * KIB;

function valueOf<T>(outcome: Outcome<T> | undefined): T {
  if (outcome?.ok !== true) throw new Error('there is no such outcome', { cause: outcome?.error });
  return outcome.value;
}

export async function snapshotOf(source: Source, volume: string): Promise<SnapshotRef> {
  return valueOf((await source.snapshot([volume])).get(volume));
}

export async function contentOf(source: Source, snapshot: SnapshotRef): Promise<Buffer> {
  const opened = await source.open(snapshot);
  const content = readFileSync(opened.path);
  assert.equal(opened.size, content.length);
  await opened.close();
  return content;
}

const isSourceError = (error: unknown): boolean => error instanceof SparsebakError && error.code === 'source';

type Make = (test: TestContext) => Promise<PoolUnderTest> | PoolUnderTest;

/**
 * @param frozen what the source must say of itself; the tests differ by it
 * @param make a pool of its own for each test; it goes with the test
 */
export function sourceConformance(name: string, frozen: boolean, make: Make): void {
  pathsAsNames(name, make);
  flatSourceConformance(name, frozen, make);
}

/** For pools whose volumes have plain names and sizes of whole blocks. */
export function flatSourceConformance(name: string, frozen: boolean, make: Make): void {
  everySource(name, frozen, make);
  if (frozen) freezingSource(name, make);
  else liveSource(name, make);
}

function pathsAsNames(name: string, make: Make): void {
  describe(`${name}: as a source whose volumes are files`, () => {
    it('lists volumes by globs that stop at a slash', async (t) => {
      const pool = await make(t);
      const names = [
        'appvms/office/private.img',
        'appvms/office/root.img',
        'appvms/vault/private.img',
        'top.img',
        'a/b/c/d.img',
      ];
      for (const each of names) pool.create(each, 4096);
      const list = async (patterns: string[], excludes: string[] = []): Promise<readonly string[]> =>
        (await pool.source.list(patterns, excludes)).volumes;
      assert.deepEqual(await list(['*']), ['top.img']);
      assert.deepEqual(await list(['**']), [...names].sort());
      assert.deepEqual(await list(['appvms/*/private.img']), ['appvms/office/private.img', 'appvms/vault/private.img']);
      assert.deepEqual(await list(['**/private.img', 'top.img'], ['**/vault/**']), [
        'appvms/office/private.img',
        'top.img',
      ]);
      assert.deepEqual(await list(['a/**', 'nothing.img', '']), ['a/b/c/d.img']);
      assert.deepEqual(await list(['top.img', 'top.img', '*.img']), ['top.img']);
      assert.deepEqual(await list([]), []);
    });

    it('takes names as they are: spaces, newlines, dashes, glob characters, any script', async (t) => {
      const pool = await make(t);
      const names = [
        '-rf',
        '--',
        'a b/c d.img',
        'line\nbreak.img',
        'Ünï/код/图.img',
        '[x]*?.img',
        'quote"\'\\.img',
        '.hidden',
      ];
      const random = new Random('names');
      for (const each of names) {
        pool.create(each, 8192);
        pool.write(each, 0, random.bytes(8192));
      }
      assert.deepEqual((await pool.source.list(['**'], [])).volumes, [...names].sort());
      assert.deepEqual((await pool.source.list(names, [])).volumes, [...names].sort());
      const outcomes = await pool.source.snapshot(names);
      for (const each of names) {
        const snapshot = valueOf(outcomes.get(each));
        assert.deepEqual(await contentOf(pool.source, snapshot), pool.read(each));
        assertCovers(await pool.source.mapped(snapshot), pool.read(each), Buffer.alloc(8192), each);
      }
    });

    it('names snapshots by 128 random bits and says how large they are (L15)', async (t) => {
      const pool = await make(t);
      const sizes = { empty: 0, byte: 1, odd: 12_345_677, block: 4096, large: 5 * 2 ** 40 + 512 };
      for (const [each, size] of Object.entries(sizes)) pool.create(each, size);
      const outcomes = await pool.source.snapshot(Object.keys(sizes));
      const snapshots = Object.keys(sizes).map((each) => valueOf(outcomes.get(each)));
      assert.deepEqual(
        snapshots.map(({ size }) => size),
        Object.values(sizes),
      );
      assert.equal(new Set(snapshots.map(({ id }) => id)).size, snapshots.length);
      for (const { id, time } of snapshots) {
        assert.match(id, /^[0-9a-f]{32}$/);
        assert.ok(Math.abs(time - Date.now()) < 60_000);
      }
      const empty = valueOf(outcomes.get('empty'));
      assert.equal((await contentOf(pool.source, empty)).length, 0);
      assertCovers(await pool.source.mapped(empty), Buffer.alloc(0), Buffer.alloc(0), 'empty');
    });
  });
}

function everySource(name: string, frozen: boolean, make: Make): void {
  describe(`${name}: as every source`, () => {
    it('gives each volume an outcome of its own (L6)', async (t) => {
      const pool = await make(t);
      pool.create('here.img', 4096);
      const outcomes = await pool.source.snapshot(['gone.img', 'here.img', '../here.img', '/etc/passwd']);
      assert.deepEqual([...outcomes.keys()].sort(), ['../here.img', '/etc/passwd', 'gone.img', 'here.img']);
      assert.ok(outcomes.get('here.img')?.ok);
      const gone = outcomes.get('gone.img');
      assert.equal(gone?.ok === false && gone.error.code, 'not-found');
      assert.equal(outcomes.get('../here.img')?.ok, false);
      assert.equal(outcomes.get('/etc/passwd')?.ok, false);
    });

    it('leaves nothing but zeros out of what is mapped (L14)', async (t) => {
      const pool = await make(t);
      const random = new Random('mapped');
      pool.create('v', 4 * MIB + 777);
      for (let i = 0; i < 20; i++) pool.write('v', random.int(4 * MIB), random.bytes(random.between(1, 700)));
      pool.discard('v', { offset: MIB, length: MIB });
      const snapshot = await snapshotOf(pool.source, 'v');
      const content = pool.read('v');
      assertCovers(await pool.source.mapped(snapshot), content, Buffer.alloc(content.length), 'mapped');
    });

    it('knows a snapshot only while it is there, and never touches the volume', async (t) => {
      const pool = await make(t);
      pool.create('v', 64 * KIB);
      pool.write('v', 0, new Random('there').bytes(64 * KIB));
      const content = pool.read('v');
      const snapshot = await snapshotOf(pool.source, 'v');
      await pool.source.remove([snapshot]);
      await pool.source.remove([snapshot, snapshot]);
      assert.deepEqual(pool.read('v'), content);
      assert.equal(pool.source.frozen, frozen);
      if (!frozen) return;
      assert.equal(await pool.source.exists(snapshot), false);
      await assert.rejects(pool.source.open(snapshot), isSourceError);
      assert.deepEqual(await pool.source.leftovers(), []);
    });

    it('survives a binding that was tampered with or is of another kind', async (t) => {
      const pool = await make(t);
      pool.create('v', 8192);
      const snapshot = await snapshotOf(pool.source, 'v');
      const forged = [
        {},
        ...Object.keys(snapshot.binding).map((key) => ({ ...snapshot.binding, [key]: '../../etc/passwd' })),
      ];
      for (const binding of forged) {
        const other = { ...snapshot, binding };
        assert.equal(await pool.source.exists(other).catch(() => false), false);
        assert.equal((await pool.source.delta(other, snapshot)).kind, 'unknown');
        await assert.rejects(pool.source.open(other));
      }
      await pool.source.remove([{ ...snapshot, binding: {} }]);
      assert.ok(!frozen || (await pool.source.exists(snapshot)), 'it is still there');
    });
  });
}

function freezingSource(name: string, make: Make): void {
  describe(`${name}: as a source that freezes`, () => {
    it('gives the bytes of the moment, whatever happens to the volume (L6, L17)', async (t) => {
      const pool = await make(t);
      const random = new Random('frozen');
      const name = pool.flat === true ? 'v' : 'dir/v';
      pool.create(name, MIB + 1);
      pool.write(name, 0, random.bytes(MIB + 1));
      const before = pool.read(name);
      const snapshot = await snapshotOf(pool.source, name);
      pool.write(name, 5000, random.bytes(MIB / 2));
      pool.resize(name, 10_000);
      assert.deepEqual(await contentOf(pool.source, snapshot), before);
      pool.drop(name);
      assert.ok(await pool.source.exists(snapshot));
      assert.deepEqual(await contentOf(pool.source, snapshot), before);
      assert.deepEqual((await pool.source.list(['**'], [])).volumes, [], 'its own files are no volumes');
      assert.deepEqual(
        (await pool.source.leftovers()).map(({ id }) => id),
        [snapshot.id],
      );
    });

    it('finds what a killed run left, and removes it by that alone', async (t) => {
      const pool = await make(t);
      pool.create('a', 4096);
      pool.create('b', 4096);
      const outcomes = await pool.source.snapshot(['a', 'b']);
      const made = ['a', 'b'].map((each) => valueOf(outcomes.get(each)));
      const left = await pool.source.leftovers();
      assert.deepEqual(left.map(({ id }) => id).sort(), made.map(({ id }) => id).sort());
      await pool.source.remove(left);
      assert.deepEqual(await pool.source.leftovers(), []);
      for (const snapshot of made) assert.equal(await pool.source.exists(snapshot), false);
    });

    it('leaves no changed byte out of a delta, and not much unchanged in (L2, L6, L14, L15, L16)', async (t) => {
      const pool = await make(t);
      const random = new Random('edits');
      pool.create('v', 3 * MIB + 13);
      pool.write('v', 0, random.bytes(2 * MIB));
      let tick = await snapshotOf(pool.source, 'v');
      let before = pool.read('v');
      for (let round = 0; round < (pool.rounds ?? 12); round++) {
        let touched = 0;
        for (let edit = random.int(4); edit > 0; edit--) {
          const offset = random.int(3 * MIB);
          const length = random.between(1, 200_000);
          touched += length + 2 * 64 * KIB;
          if (random.once(3)) pool.discard('v', { offset, length: Math.min(length, before.length - offset) });
          else pool.write('v', offset, random.once(3) ? Buffer.alloc(length) : random.bytes(length));
        }
        if (random.once(4)) pool.resize('v', random.between(2 * MIB, 4 * MIB));
        const tock = await snapshotOf(pool.source, 'v');
        const after = pool.read('v');
        const delta = await pool.source.delta(tick, tock);
        assert.equal(delta.kind, 'ranges');
        assertDelta(delta, after, before, `round ${String(round)}`);
        if (after.length === before.length) {
          assert.ok(delta.bytes <= touched, `${String(delta.bytes)} bytes for ${String(touched)} touched`);
        }
        await pool.source.remove([tick]);
        assert.equal((await pool.source.delta(tick, tock)).kind, 'unknown', 'the older one is gone');
        [tick, before] = [tock, after];
      }
    });

    it('tells of many pairs what it tells of each, whatever became of one of them', async (t) => {
      const pool = await make(t);
      const { source } = pool;
      if (source.deltas === undefined) return;
      const random = new Random('many pairs');
      const names = Array.from({ length: pool.rounds === undefined ? 40 : 4 }, (_, number) => `v${String(number)}`);
      const snapshots = async () => {
        const outcomes = await source.snapshot(names);
        return names.map((name) => valueOf(outcomes.get(name)));
      };
      for (const name of names) {
        pool.create(name, MIB);
        pool.write(name, 0, random.bytes(MIB / 2));
      }
      const before = await snapshots();
      for (const name of names.slice(2)) pool.write(name, random.int(MIB - 5000), random.bytes(5000));
      const after = await snapshots();
      const pairs = before.map((older, index) => ({ older, newer: after[index]! }));
      await source.remove([before[1]!]);
      const told: (Delta | undefined)[] = [];
      for await (const delta of source.deltas(pairs)) told.push(delta);
      assert.equal(told.length, pairs.length);
      for (const [index, { older, newer }] of pairs.entries()) {
        const alone = await source.delta(older, newer);
        assert.equal(alone.kind, index === 1 ? 'unknown' : 'ranges', names[index]);
        if (index === 1) assert.notEqual(told[index]?.kind, 'ranges', 'the older one is gone');
        else assert.deepEqual(told[index], alone, names[index]);
      }
    });

    it('finds nothing where nothing changed', async (t) => {
      const pool = await make(t);
      pool.create('v', 3 * 2 ** 40 + 1);
      pool.write('v', 2 ** 41 + 99, new Random('nothing').bytes(300_000));
      const [tick, tock] = [await snapshotOf(pool.source, 'v'), await snapshotOf(pool.source, 'v')];
      assert.deepEqual(await pool.source.delta(tick, tock), { kind: 'ranges', ranges: [], bytes: 0 });
      assert.deepEqual(await pool.source.delta(tick, tick), { kind: 'ranges', ranges: [], bytes: 0 });
    });
  });
}

function liveSource(name: string, make: Make): void {
  describe(`${name}: as a source that does not freeze`, () => {
    it('says so when the content moved while it was read', async (t) => {
      const pool = await make(t);
      const changes: [string, (name: string) => void][] = [
        [
          'written',
          (each) => {
            pool.write(each, 100, Buffer.from('x'));
          },
        ],
        [
          'resized',
          (each) => {
            pool.resize(each, 9000);
          },
        ],
        [
          'gone',
          (each) => {
            pool.drop(each);
          },
        ],
        [
          'replaced',
          (each) => {
            pool.drop(each);
            pool.create(each, 8192);
          },
        ],
      ];
      for (const [each, change] of changes) {
        pool.create(each, 8192);
        const snapshot = await snapshotOf(pool.source, each);
        const opened = await pool.source.open(snapshot);
        change(each);
        await assert.rejects(opened.close(), isSourceError, each);
        await assert.rejects(pool.source.open(snapshot), isSourceError, each);
        assert.equal(await pool.source.exists(snapshot), false);
      }
      assert.deepEqual(await pool.source.leftovers(), []);
    });
  });
}
