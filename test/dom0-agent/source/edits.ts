// Everything that can happen to an image file in a pool, at random.

import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import type { Random } from '../../fixtures/random.ts';
import { run, type FolderPool } from './folder-pool.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const LARGEST = 8 * MIB;

export interface EditOptions {
  readonly type: 'xfs' | 'btrfs';
  readonly random: Random;
  /** Snapshots of an earlier state that the volume can be reverted to. */
  readonly earlier: readonly string[];
}

/** One edit; returns what it was and at most how many bytes it can have changed the place of. */
export function editAtRandom(pool: FolderPool, name: string, options: EditOptions): { what: string; touched: number } {
  const { random, type, earlier } = options;
  const path = pool.path(name);
  const { size } = statSync(path);
  const offset = random.int(LARGEST);
  const length = random.between(1, random.once(2) ? 5000 : 400_000);
  const aligned = { offset: offset - (offset % 4096), length: Math.ceil(length / 4096) * 4096 };
  const range = [String(offset), String(length)] as const;
  const allocate = (...how: string[]): void => {
    run('fallocate', ...how, '--offset', range[0], '--length', range[1], path);
  };
  const xfsIo = (command: string): void => {
    run('xfs_io', '-c', command, path);
  };

  const edits: Record<string, () => number | undefined> = {
    'random bytes': () => (pool.write(name, offset, random.bytes(length)), undefined),
    'compressible bytes': () => (pool.write(name, offset, compressible(random, length)), undefined),
    'zeros written': () => (pool.write(name, offset, Buffer.alloc(length)), undefined),
    'the same bytes again': () => {
      pool.write(name, Math.min(offset, size), pool.read(name).subarray(offset, offset + length));
      return undefined;
    },
    'many small ones': () => {
      for (let i = 0; i < 40; i++) pool.write(name, random.int(LARGEST), random.bytes(random.between(1, 600)));
      return 40 * 64 * KIB;
    },
    'a hole': () => (allocate('--punch-hole'), undefined),
    'a range zeroed': () => (allocate('--zero-range'), undefined),
    preallocated: () => (allocate(), undefined),
    'preallocated past the end': () => (allocate('--keep-size'), undefined),
    truncated: () => (pool.resize(name, random.int(LARGEST)), LARGEST),
    grown: () => (pool.resize(name, Math.max(size, random.int(LARGEST))), LARGEST),
    'shrunk and grown': () => {
      pool.resize(name, Math.max(0, size - length));
      pool.resize(name, size);
      return undefined;
    },
    'written through a mapping': () => {
      if (size < 8192) return 0;
      const at = random.int(size - 4096);
      run(
        'xfs_io',
        '-c',
        `mmap -rw 0 ${String(size)}`,
        '-c',
        `mwrite -S 0x${random.bytes(1).toString('hex')} ${String(at)} 3000`,
        path,
      );
      // A huge page may be written back as a whole.
      return LARGEST;
    },
    'written past the cache': () => {
      const direct = `pwrite -q -S 0x${random.bytes(1).toString('hex')} ${String(aligned.offset)} ${String(aligned.length)}`;
      run('xfs_io', '-d', '-c', direct, path);
      return undefined;
    },
    'blocks shared within': () => {
      const from = Math.floor(random.int(Math.max(1, size)) / 65536) * 65536;
      const to = Math.floor(random.int(Math.max(1, size)) / 65536) * 65536;
      const count = Math.min(random.between(1, 4) * 65536, size - from);
      if (Math.abs(from - to) < count || count <= 0 || count % 4096 !== 0) return 0;
      xfsIo(`reflink -q ${path} ${String(from)} ${String(to)} ${String(count)}`);
      return count;
    },
    'replaced by a copy': () => {
      const copy = `${path}.new`;
      run('cp', '--reflink=never', '--sparse=always', path, copy);
      renameSync(copy, path);
      return LARGEST;
    },
    'replaced by a clone': () => {
      const copy = `${path}.new`;
      run('cp', '--reflink=always', path, copy);
      rmSync(path);
      pokeByte(copy, offset);
      renameSync(copy, path);
      return undefined;
    },
    reverted: () => {
      if (earlier.length === 0) return 0;
      const copy = `${path}.new`;
      run('cp', '--reflink=always', random.pick(earlier), copy);
      run('chmod', 'u+w', copy);
      renameSync(copy, path);
      return LARGEST;
    },
    synced: () => (pool.sync(name), 0),
    ...(type === 'xfs'
      ? {
          'a range inserted': () => {
            if (aligned.offset >= size) return 0;
            xfsIo(`finsert ${String(aligned.offset)} ${String(aligned.length)}`);
            return LARGEST;
          },
          'a range collapsed': () => {
            if (aligned.offset + aligned.length >= size) return 0;
            xfsIo(`fcollapse ${String(aligned.offset)} ${String(aligned.length)}`);
            return LARGEST;
          },
        }
      : {}),
  };
  const what = random.pick(Object.keys(edits));
  const touched = edits[what]?.() ?? length + 2 * 64 * KIB;
  return { what, touched };
}

function pokeByte(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([offset % 256]), 0, 1, offset);
  closeSync(fd);
}

/** About two to one, in pieces of a few hundred bytes. */
export function compressible(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 600) random.bytes(300).copy(bytes, at);
  return bytes;
}
