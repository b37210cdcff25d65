// Volumes change, are monitored and sent, over and over; every session restores to exactly what the volume was (I1, I4,
// L6, L14 to L16).

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loopFsSkip, mountLoopFs } from '../fixtures/loop-fs.ts';
import { Random } from '../fixtures/random.ts';
import { makeScratch } from '../fixtures/scratch.ts';
import { editAtRandom } from './edits.ts';
import { BackupSystem } from './backup-system.ts';

const MIB = 2 ** 20;

interface History {
  readonly on: 'xfs' | 'btrfs' | 'file';
  readonly init: readonly string[];
  /** Bytes that a volume stays below. */
  readonly largest: number;
  readonly rounds: number;
}

const histories: readonly History[] = [
  { on: 'xfs', init: ['--chunk-size', '64K'], largest: 6 * MIB, rounds: 6 },
  { on: 'btrfs', init: ['--chunk-size', '64K', '--compression', 'gzip', '--dedup', 'on'], largest: 6 * MIB, rounds: 6 },
  { on: 'xfs', init: ['--encryption', 'off', '--chunk-size', '64K'], largest: 5 * MIB, rounds: 5 },
  {
    on: 'btrfs',
    init: ['--encryption', 'off', '--compression', 'zstd:3', '--dedup', 'on'],
    largest: 6 * MIB,
    rounds: 5,
  },
  { on: 'xfs', init: ['--compression', 'none', '--chunk-size', '4M'], largest: 20 * MIB, rounds: 5 },
  { on: 'file', init: ['--encryption', 'off', '--compression', 'none'], largest: 6 * MIB, rounds: 4 },
  { on: 'file', init: ['--chunk-size', '64K', '--compression', 'zstd:9'], largest: 6 * MIB, rounds: 4 },
];

for (const history of histories) {
  const { on, init } = history;
  const skip = on === 'file' ? false : loopFsSkip(on);
  test(`I1 I4 L14 L16 a random history on ${on}, init ${init.join(' ')}`, { skip }, async (t) => {
    const folder = await poolOn(t, on);
    const pool = { name: 'main', type: on === 'file' ? ('file' as const) : ('reflink' as const), path: folder };
    const lab = new BackupSystem(t, { pools: [pool] });
    const random = new Random(`history ${on} ${init.join(' ')}`);
    lab.write('first.img', random.bytes(random.between(1, history.largest / 2)));
    lab.write('second.img', Buffer.alloc(0));
    await lab.init(...init);

    const first = await lab.send('--full');
    assert.deepEqual(
      first.volumes.map(({ kind, compared }) => ({ kind, compared })),
      [
        { kind: 'full', compared: false },
        { kind: 'full', compared: false },
      ],
    );
    const did: string[] = [];
    let incremental = 0;
    for (let round = 0; round < history.rounds; round++) {
      for (let look = random.int(3); look >= 0; look--) {
        for (const volume of ['first.img', 'second.img']) {
          for (let edit = random.between(1, 3); edit > 0; edit--)
            did.push(`${volume} ${editAtRandom(join(folder, volume), random, history.largest)}`);
        }
        if (look > 0) {
          await lab.monitor();
          did.push('monitor');
        }
      }
      did.push('send');
      const sent = await lab.send();
      for (const { name, kind, compared, error } of sent.volumes) {
        assert.equal(error, undefined, did.join(', '));
        assert.ok(kind === 'incremental' || kind === 'unchanged', `${name}: ${kind}`);
        assert.equal(compared, on === 'file', `${name} after ${did.join(', ')}`);
        if (kind === 'incremental') incremental++;
      }
    }
    const again = await lab.send();
    assert.equal(again.session, null, 'nothing changed since, so there is no session');
    assert.deepEqual([...new Set(again.volumes.map(({ kind, sentBytes }) => `${kind} ${sentBytes}`))], ['unchanged 0']);

    try {
      await lab.compareAll();
    } catch (error) {
      throw new Error(`after ${did.join(', ')}`, { cause: error });
    }
    await lab.verifyAll();
    lab.assertNothingStray();
    t.diagnostic(`${did.length} steps, ${incremental} incrementals, ${lab.compared} sessions compared`);
    assert.ok(incremental >= history.rounds, 'most sends found a change');
  });
}

/** A folder to keep volumes in. */
async function poolOn(t: TestContext, on: History['on']): Promise<string> {
  if (on === 'file') return makeScratchFolder(t);
  const fs = await mountLoopFs({ type: on, size: 600 * MIB });
  t.after(async () => {
    await fs.unmount();
  });
  return fs.dir;
}

function makeScratchFolder(t: TestContext): string {
  const folder = makeScratch('pool');
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}
