// A restore of a qube that is killed, or loses qubesd, at any point: the second run of the same command heals it, and
// until then the qube does not start, and what it should replace is complete.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { limit } from '../../fixtures/limits.ts';
import { ground } from '../mounts.ts';
import type { RunOptions } from '../program.ts';
import { change, furnish } from './furnished.ts';
import { hostIn, QubeBackup } from './qube-system.ts';

const xfs = ground('xfs');
const noStrace = spawnSync('strace', ['-V']).status === 0 ? false : 'machine: no strace';
const skip = xfs.skip === false ? noStrace : xfs.skip;
const TAG = 'backup-restore-in-progress';
const MOST = 60;

interface State {
  readonly settings: unknown;
  readonly bytes: Record<string, Buffer>;
}

async function saved(t: TestContext, pool: string): Promise<QubeBackup> {
  const host = await hostIn(t, pool);
  await furnish(host, 'work');
  const backup = await QubeBackup.of(t, host, ['work', 'win']);
  (await backup.system.run(['send', '--full'])).expect(0);
  return backup;
}

/** Calls of the system at which the agent is killed, and how many of each are tried. */
const POINTS = [
  { calls: 'rename', step: 2 },
  { calls: 'link,linkat', step: 1 },
];

/** Dies at the start of its nth such call. */
function killedAt(calls: string, nth: number): RunOptions {
  const inject = `inject=${calls}:signal=KILL:when=${nth}`;
  return { wrapper: ['strace', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject] };
}

async function stateOf(backup: QubeBackup, name: string, beside: boolean): Promise<State> {
  return { settings: await backup.comparable(name, beside), bytes: await backup.bytes(name) };
}

function images(pool: string, name: string): string[] {
  return readdirSync(join(pool, 'appvms', name)).filter((file) => !file.includes('-precache') && !file.includes('@'));
}

test('a restore to a new name, killed at each change of a name', { skip, timeout: limit(900_000) }, async (t) => {
  const pool = xfs.folder();
  const backup = await saved(t, pool);
  const { system, host } = backup;
  for (const qube of ['win']) {
    const then = await stateOf(backup, qube, true);
    const args = ['qube', 'restore', qube, '--as', 'again'];
    let killed = 0;
    for (const { calls, step } of POINTS) {
      for (let nth = 1; nth < MOST; nth += step) {
        const at = `${qube}, ${calls} ${String(nth)}`;
        const ran = await system.run(args, killedAt(calls, nth));
        if (ran.status !== 0) {
          ran.expectKilled();
          killed++;
          const isThere = (await backup.qubes()).includes('again');
          const tags = isThere ? (await backup.settings('again')).tags : [];
          if (tags.includes(TAG)) assert.notEqual((await host.call('admin.vm.Start', 'again')).kind, 'ok');
          const healed = await system.run(args);
          // Killed after the last step: it is whole, so the name is taken.
          const isWhole = isThere && !tags.includes(TAG) && healed.stderr.includes('exists already');
          assert.ok(healed.status === 0 || isWhole, `${at}: ${healed.describe()}`);
        }
        assert.deepEqual(await stateOf(backup, 'again', true), then, at);
        const own = Object.keys(then.bytes).map((volume) => `${volume}.img`);
        assert.deepEqual(images(pool, 'again').sort(), own.sort(), at);
        await host.ok('admin.vm.Remove', 'again');
        if (ran.status === 0) break;
      }
    }
    t.diagnostic(`${qube}: killed ${String(killed)} times`);
    assert.ok(killed > 5);
  }
});

test('a replace and its undo, killed at each change of a name', { skip, timeout: limit(900_000) }, async (t) => {
  const backup = await saved(t, xfs.folder());
  const { system, host } = backup;
  const qube = 'win';
  await furnish(host, qube).catch(() => undefined);
  (await system.run(['send'])).expect(0);
  const then = await stateOf(backup, qube, false);
  let killed = 0;
  const kills = (ran: { status: number | null }): boolean => ran.status !== 0;
  for (const { calls, step } of POINTS) {
    for (let nth = 1; nth < MOST; nth += step) {
      const at = `${calls} ${String(nth)}`;
      await change(host, qube);
      const before = await stateOf(backup, qube, false);
      const args = ['qube', 'restore', qube, '--replace', '--yes'];
      const ran = await system.run(args, killedAt(calls, nth));
      if (kills(ran)) {
        ran.expectKilled();
        killed++;
        for (const [volume, bytes] of Object.entries(await backup.bytes(qube))) {
          const isOne = bytes.equals(before.bytes[volume]!) || bytes.equals(then.bytes[volume]!);
          assert.ok(isOne, `${volume} is complete, old or new, at ${at}`);
        }
        (await system.run(args)).expect(0);
      }
      assert.deepEqual(await stateOf(backup, qube, false), then, `replaced, ${at}`);
      const undo = ['qube', 'restore', qube, '--undo', '--yes'];
      const undone = await system.run(undo, killedAt(calls, nth));
      if (kills(undone)) {
        undone.expectKilled();
        const isDone = JSON.stringify(await backup.comparable(qube)) === JSON.stringify(before.settings);
        const { tags } = await backup.settings(qube);
        if (tags.includes(TAG) || !isDone) (await system.run(undo)).expect(0);
      }
      assert.deepEqual(await stateOf(backup, qube, false), before, `undone, ${at}`);
      assert.ok(!(await backup.settings(qube)).tags.includes(TAG));
      if (!kills(ran) && !kills(undone)) break;
    }
  }
  t.diagnostic(`killed ${String(killed)} times`);
  assert.ok(killed > 5);
});

test('qubesd ends at each of its changes', { skip, timeout: limit(600_000) }, async (t) => {
  const backup = await saved(t, xfs.folder());
  const { system, host } = backup;
  const then = await stateOf(backup, 'work', true);
  const args = ['qube', 'restore', 'work', '--as', 'again'];
  const changes = ['admin.vm.CreateInPool*', 'admin.vm.tag.Set', 'admin.vm.property.Set', 'admin.vm.feature.Set'];
  changes.push('admin.vm.firewall.Set', 'admin.vm.notes.Set', 'admin.vm.device.*', 'admin.vm.tag.Remove');
  for (const method of changes) {
    for (const when of ['before', 'after'] as const) {
      await host.fault({ method, when, nth: 1, effect: { kind: 'exit' } });
      const ran = await system.run(args);
      assert.ok(ran.status === 1 || ran.status === 3, `${method} ${when}: ${ran.describe()}`);
      assert.match(ran.stdout + ran.stderr, /qubesd/);
      await host.restart();
      const done = await system.run(args);
      const isDone = method.endsWith('tag.Remove') && when === 'after';
      if (!isDone) done.expect(0);
      assert.deepEqual(await stateOf(backup, 'again', true), then, `${method} ${when}`);
      await host.ok('admin.vm.Remove', 'again');
    }
  }
});

test('two restores at once, and a qube with the tag of another program', { skip }, async (t) => {
  const backup = await saved(t, xfs.folder());
  const { system, host } = backup;
  await host.fault({ method: 'admin.vm.CreateInPool*', effect: { kind: 'hang' } });
  const first = system.start(['qube', 'restore', 'work', '--as', 'one']);
  while (!host.calls.some(({ method }) => method.startsWith('admin.vm.CreateInPool'))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  (await system.run(['--lock-wait', '0', 'qube', 'restore', 'work', '--as', 'two'])).expect(6);
  first.child.kill('SIGKILL');
  await first.ended;
  await host.control({ do: 'clear' });
  await host.addQube('foreign', { template: 'fedora-42' });
  await host.ok('admin.vm.tag.Set', 'foreign', TAG);
  const refused = (await system.run(['qube', 'restore', 'work', '--as', 'foreign'])).expect(1);
  assert.match(refused.stderr, /has the tag backup-restore-in-progress/);
  // A user's own qube of the planned name, made after the kill, is not taken for ours.
  await host.addQube('one', { template: 'fedora-42', label: 'blue', data: { private: 2 ** 20 } });
  const bytes = await backup.bytes('one');
  assert.match((await system.run(['qube', 'restore', 'work', '--as', 'one'])).expect(1).stderr, /has data/);
  assert.deepEqual(await backup.bytes('one'), bytes);
});
