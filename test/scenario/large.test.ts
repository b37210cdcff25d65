// Volumes past 4 GiB, 2 TiB and up to 16 TiB, sparse: sizes and addresses are exact, and cost follows the data (L6,
// L15).

import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, rmSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { mappedRanges } from '../../dom0-agent/source/extents.ts';
import { readExtentsTwice } from '../../dom0-agent/source/filefrag.ts';
import type { ByteRange } from '../../dom0-agent/source/source.ts';
import { Random } from '../fixtures/random.ts';
import { sendDocument } from './documents.ts';
import { fallocate, writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { limit } from '../fixtures/limits.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

async function dataIn(path: string): Promise<ByteRange[]> {
  const handle = await open(path);
  try {
    const [extents] = (await readExtentsTwice([handle])) ?? [];
    assert.ok(extents !== undefined);
    return mappedRanges(extents);
  } finally {
    await handle.close();
  }
}

/** Compares two sparse files wherever either of them has anything. @returns the bytes that were compared */
async function compareSparse(path: string, other: string): Promise<number> {
  assert.equal(statSync(path).size, statSync(other).size);
  const fds = [openSync(path, 'r'), openSync(other, 'r')] as const;
  let compared = 0;
  try {
    for (const { offset, length } of [...(await dataIn(path)), ...(await dataIn(other))]) {
      for (let at = offset; at < offset + length; at += MIB) {
        const size = Math.min(MIB, offset + length - at);
        const [a, b] = fds.map((fd) => {
          const bytes = Buffer.alloc(size);
          for (let done = 0; done < size;) {
            const got = readSync(fd, bytes, done, size - done, at + done);
            if (got === 0) break;
            done += got;
          }
          return bytes;
        });
        assert.ok(a!.equals(b!), `at ${String(at)}`);
        compared += size;
      }
    }
  } finally {
    fds.forEach(closeSync);
  }
  return compared;
}

for (const [on, chunkSize] of [
  ['xfs', '64K'],
  ['btrfs', '256K'],
] as const) {
  const disk = ground(on, 2 * GIB);
  test(
    `L6 L15 a volume that grows from nothing to 16 TiB, shrinks and grows, on ${on} in chunks of ${chunkSize}`,
    { skip: disk.skip, timeout: limit(300_000) },
    async (t) => {
      const random = new Random(`large on ${on}`);
      const pool = disk.folder();
      const elsewhere = disk.folder();
      const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: pool }] });
      lab.write('big.img', Buffer.alloc(0));
      const path = lab.path('big.img');
      await lab.init('--chunk-size', chunkSize);
      await lab.ask(sendDocument, ['send', '--full']);
      const around = (at: number) =>
        writeAt(path, Math.max(0, at - random.int(9000)), random.bytes(random.between(1, 20_000)));
      const steps: Record<string, () => void> = {
        'grows past 4 GiB': () => {
          truncateSync(path, 5 * GIB + 123);
          [0, GIB, 4 * GIB, 5 * GIB].forEach(around);
        },
        'grows past 2 TiB': () => {
          truncateSync(path, 2 * TIB + 77);
          [4 * GIB, TIB, 2 * TIB].forEach(around);
        },
        'is changed here and there, and holes are punched': () => {
          fallocate('--punch-hole', '--offset', String(4 * GIB - MIB), '--length', String(2 * MIB), path);
          [TIB + 5, 3].forEach(around);
        },
        'shrinks to 3 GiB': () => truncateSync(path, 3 * GIB - 1),
        'grows to 16 TiB': () => {
          truncateSync(path, 16 * TIB - 512);
          [4 * GIB, 12 * TIB].forEach(around);
          writeAt(path, 16 * TIB - 512 - 10, random.bytes(10));
        },
        'becomes nothing': () => truncateSync(path, 0),
        'is something small again': () => writeAt(path, 0, random.bytes(100_000)),
      };
      let compared = 0;
      const copies = new Map<string, string>();
      for (const [what, step] of Object.entries(steps)) {
        step();
        if (random.once(2)) await lab.monitor();
        const sent = await lab.ask(sendDocument, ['send']);
        const volume = only(sent.volumes, 'big.img');
        assert.deepEqual([volume.kind, volume.compared], ['incremental', false], what);
        assert.ok(
          volume.chunks < 40 && volume.sentBytes < 12 * MIB,
          `${what}: ${String(volume.chunks)} chunks, ${String(volume.sentBytes)} bytes`,
        );
        const kept = join(elsewhere, sent.session!);
        assert.equal(spawnSync('cp', ['--reflink=always', path, kept]).status, 0);
        copies.set(sent.session!, kept);
      }
      for (const [session, kept] of copies) {
        const to = join(elsewhere, 'restored');
        (await lab.run(['restore', 'big.img', '--to', to, '--session', session])).expect(0);
        compared += await compareSparse(to, kept);
        assert.ok(statSync(to).blocks * 512 < 64 * MIB, 'and is sparse');
        rmSync(to);
      }
      await lab.verifyAll();
      t.diagnostic(`${Object.keys(steps).length} sessions, ${compared} bytes compared`);
      assert.ok(compared > 100_000);
    },
  );
}

const plain = ground('plain');
const vast = ground('xfs');

test('L15 more than 16 TiB is refused as a failure of that volume alone', { skip: vast.skip }, async (t) => {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: vast.folder() }] });
  lab.write('small.img', Buffer.from('x'));
  lab.write('vast.img', Buffer.alloc(0));
  truncateSync(lab.path('vast.img'), 16 * TIB + 1);
  await lab.init();
  const ran = (await lab.run(['send', '--full'])).expect(3);
  assert.match(ran.stdout, /16 TiB/);
  assert.ok((await lab.restore('small.img')).equals(Buffer.from('x')));
});

test('L15 a sparse file in a pool that cannot freeze is compared where it has data', async (t) => {
  const random = new Random('large file');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('big.img', Buffer.alloc(0));
  const path = lab.path('big.img');
  truncateSync(path, 6 * GIB + 5);
  writeAt(path, 5 * GIB, random.bytes(400_000));
  await lab.init();
  await lab.ask(sendDocument, ['send', '--full']);
  writeAt(path, 4 * GIB - 10, random.bytes(20));
  fallocate('--punch-hole', '--offset', String(5 * GIB), '--length', String(200_000), path);
  const { volumes } = await lab.ask(sendDocument, ['send']);
  assert.equal(only(volumes, 'big.img').compared, true);
  const to = join(lab.folder, 'restored');
  (await lab.run(['restore', 'big.img', '--to', to])).expect(0);
  assert.ok((await compareSparse(to, path)) > 200_000);
});
