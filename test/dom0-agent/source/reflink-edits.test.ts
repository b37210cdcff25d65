// Random edits of an image on real file systems, each delta compared with what is seen byte for byte.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { SnapshotRef } from '../../../dom0-agent/source/source.ts';
import { loopFsSkip, withLoopFs, type LoopFsOptions } from '../../fixtures/loop-fs.ts';
import { Random } from '../../fixtures/random.ts';
import { contentOf, snapshotOf } from './conformance.ts';
import { compressible, editAtRandom } from './edits.ts';
import { FolderPool } from './folder-pool.ts';
import { assertCovers } from './oracle.ts';

const MIB = 1024 ** 2;
const ROUNDS = 16;
const ENOUGH = 2 * MIB;

interface Variant {
  readonly name: string;
  readonly fs: Pick<LoopFsOptions, 'mkfsArgs' | 'mountOptions'> & { readonly type: 'xfs' | 'btrfs' };
  /** Whether places on disk are exact: not where data is compressed, nor where the file system moves it by itself. */
  readonly tight: boolean;
}

const variants: Variant[] = [
  { name: 'XFS', fs: { type: 'xfs' }, tight: true },
  { name: 'XFS with blocks of 1 KiB', fs: { type: 'xfs', mkfsArgs: ['-b', 'size=1024'] }, tight: true },
  { name: 'Btrfs', fs: { type: 'btrfs' }, tight: true },
  { name: 'Btrfs, nodatacow', fs: { type: 'btrfs', mountOptions: ['nodatacow'] }, tight: true },
  { name: 'Btrfs, autodefrag', fs: { type: 'btrfs', mountOptions: ['autodefrag', 'commit=1'] }, tight: false },
  { name: 'Btrfs, compress', fs: { type: 'btrfs', mountOptions: ['compress=zstd'] }, tight: false },
  { name: 'Btrfs, compress-force', fs: { type: 'btrfs', mountOptions: ['compress-force=lzo'] }, tight: false },
];

describe('an image that is edited at random', { concurrency: 1 }, () => {
  for (const { name, fs, tight } of variants) {
    it(
      `${name}: no changed byte is left out (L2, L6, L12, L14, L15, L16, L20)`,
      { skip: loopFsSkip(fs.type) },
      async () => {
        await withLoopFs({ ...fs, size: 1024 * MIB }, async (path) => {
          const random = new Random(`edits on ${name}`);
          const pool = new FolderPool(path, openSource({ type: 'reflink', path, state: 'stopped' }));
          pool.create('v.img', 6 * MIB + 123);
          pool.write('v.img', 1000, compressible(random, 5 * MIB));
          const kept: SnapshotRef[] = [await snapshotOf(pool.source, 'v.img')];
          let differing = 0;
          // Chance may pick small edits for a whole run: until enough was edited to prove something.
          for (let round = 0; round < ROUNDS || differing <= ENOUGH; round++) {
            const earlier = kept.map(({ binding }) => pool.path(`.sparsebak/${String(binding.file)}`));
            const edits = Array.from({ length: random.int(4) }, () =>
              editAtRandom(pool, 'v.img', { random, type: fs.type, earlier }),
            );
            const what = `round ${String(round)} (${edits.map((edit) => edit.what).join(', ')})`;
            const content = pool.read('v.img');
            const tock = await snapshotOf(pool.source, 'v.img');
            assert.ok((await contentOf(pool.source, tock)).equals(content), `${what}: the snapshot is the content`);
            assertCovers(await pool.source.mapped(tock), content, Buffer.alloc(0), `${what}, mapped`);
            for (const tick of kept) {
              const delta = await pool.source.delta(tick, tock);
              assert.equal(delta.kind, 'ranges', what);
              assertCovers(delta, content, await contentOf(pool.source, tick), what);
              differing += delta.bytes;
              const touched = edits.reduce((sum, edit) => sum + edit.touched, 0);
              if (tight && tick === kept.at(-1))
                assert.ok(delta.bytes <= touched, `${what}: ${String(delta.bytes)} bytes`);
            }
            kept.push(tock);
            if (kept.length > 3) await pool.source.remove(kept.splice(random.int(2), 1));
          }
        });
      },
    );
  }
});
