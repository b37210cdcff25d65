import { after, before, describe } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import { loopFsSkip, mountLoopFs, type LoopFs, type LoopFsOptions } from '../../fixtures/loop-fs.ts';
import { MemorySource } from '../../fixtures/memory-source.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { sourceConformance, type PoolUnderTest } from './conformance.ts';
import { FolderPool } from './folder-pool.ts';

const GIB = 1024 ** 3;

sourceConformance('memory', true, (t): PoolUnderTest => {
  const source = new MemorySource(scratchFor(t));
  return {
    source,
    create: (name, size) => {
      source.create(name, size);
    },
    write: (name, offset, bytes) => {
      source.write(name, offset, bytes);
    },
    discard: (name, range) => {
      source.discard(name, range);
    },
    resize: (name, size) => {
      source.resize(name, size);
    },
    drop: (name) => {
      source.drop(name);
    },
    read: (name) => source.read(name),
  };
});

const reflinkPools: [string, LoopFsOptions][] = [
  ['XFS', { type: 'xfs', size: GIB }],
  ['XFS with 1 KiB blocks', { type: 'xfs', size: GIB, mkfsArgs: ['-b', 'size=1024'] }],
  ['Btrfs', { type: 'btrfs', size: GIB }],
  ['Btrfs, nodatacow', { type: 'btrfs', size: GIB, mountOptions: ['nodatacow'] }],
];

for (const [name, options] of reflinkPools) {
  const skip = loopFsSkip(options.type);
  describe(name, { skip }, () => {
    let fs: LoopFs;
    before(async () => {
      fs = await mountLoopFs(options);
    });
    after(() => fs.unmount());
    sourceConformance(`reflink on ${name}`, true, (t) => {
      const path = mkdtempSync(join(fs.dir, 'a pool '));
      t.after(() => {
        rmSync(path, { recursive: true });
      });
      return new FolderPool(path, openSource({ type: 'reflink', path, state: 'stopped' }));
    });
  });
}

sourceConformance('file', false, (t) => {
  const path = scratchFor(t);
  return new FolderPool(path, openSource({ type: 'file', path, live: false }));
});
