// Processes that a command starts: a few, however many volumes it is about. (A process costs more than a small volume's
// data.)

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const grounds = { file: ground('plain'), reflink: ground('xfs') };
const strace = spawnSync('strace', ['-V']).status === 0 ? false : 'machine: no strace';

/** Programs that were executed, by name. */
function executed(trace: string): string[] {
  return [...readFileSync(trace, 'utf8').matchAll(/execve\("[^"]*?([^/"]+)".*= 0$/gm)].map(([, name]) => name!);
}

async function countOf(t: TestContext, type: 'file' | 'reflink', volumes: number): Promise<Record<string, number>> {
  const random = new Random(`processes of ${String(volumes)}`);
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type, path: grounds[type].folder() }] });
  const names = Array.from({ length: volumes }, (_, number) => `${String(number)}.img`);
  for (const name of names) lab.write(name, random.bytes(200_000));
  await lab.init('--chunk-size', '64K');
  const counts: Record<string, number> = {};
  const counted = async (what: string, args: readonly string[]) => {
    const trace = join(lab.folder, 'trace');
    const wrapper = ['strace', '-f', '-qq', '-e', 'trace=execve', '-e', 'signal=none', '-o', trace];
    (await lab.run(args, { wrapper })).expect(0);
    counts[what] = executed(trace).length;
  };
  await counted('first', ['send', '--full']);
  for (const name of names) writeAt(lab.path(name), 70_000, random.bytes(10));
  await counted('second', ['send']);
  await counted('unchanged', ['send']);
  await counted('monitor', ['monitor']);
  if (type !== 'file') return counts;
  // What asks the receiver alone is the same for all pools.
  await counted('list', ['list']);
  await counted('verify', ['verify']);
  await counted('prune', ['prune', '--keep-last', '1', '--yes']);
  return counts;
}

for (const type of ['file', 'reflink'] as const) {
  const skip = strace === false ? grounds[type].skip : strace;
  const title = `what a command starts does not grow with the number of volumes of a pool of type ${type}`;
  test(title, { skip }, async (t) => {
    const [few, many] = [await countOf(t, type, 3), await countOf(t, type, 24)];
    for (const [what, count] of Object.entries(few)) {
      // On a slow machine a lock is let go of between two uses, now and then.
      assert.ok(
        many[what]! < count + 12,
        `${what}: ${String(count)} processes for 3 volumes, ${String(many[what])} for 24`,
      );
      assert.ok(count < 30, `${what}: ${String(count)} processes`);
    }
  });
}
