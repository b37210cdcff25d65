// Each change to an archive is cut off at each of its messages, by killing the agent or its receiver. The next command,
// whatever it is and without any flag, finds the catalogue, the receiver and dom0's own state in agreement: the change
// has happened, or it has not (I2, I4, I9, G1).

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../fixtures/random.ts';
import { deleteDocument, pruneDocument, renameDocument, tagDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import type { Interposition } from './interposed.ts';
import { BackupSystem, only } from './backup-system.ts';
import { limit } from '../fixtures/limits.ts';

const btrfs = ground('btrfs');
const { skip } = btrfs;
const CHUNK = 64 * 1024;

/** One volume that goes through the change, and one beside it, in a plain archive: its names are on the disk, too. */
async function scene(t: TestContext, random: Random): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: btrfs.folder() }] });
  for (const name of ['a.img', 'b.img']) lab.write(name, random.bytes(3 * CHUNK - 100));
  await lab.init('--chunk-size', '64K', '--encryption', 'off');
  await lab.send('--full');
  return lab;
}

interface Cut extends Interposition {
  readonly at: string;
}

/**
 * The messages that change something, and those around them: each once from the agent's side and once from the
 * receiver's.
 */
async function cuts(lab: BackupSystem, args: readonly string[]): Promise<Cut[]> {
  const trace = join(lab.folder, `trace-${args[0]!}`);
  (await lab.run(args, lab.interposed(null, trace))).expect(0);
  const seen = new Set(readFileSync(trace, 'utf8').trim().split('\n'));
  const changing = /opened|put-catalogue|prune|protect|rename|delete/;
  return [...seen]
    .filter((line) => changing.test(line))
    .map((at, turn) => {
      const [from = '', ...what] = at.split(' ');
      const fromAgent = from === 'agent';
      const action = !fromAgent ? 'kill-agent' : turn % 2 === 0 ? 'deliver-and-kill-agent' : 'kill-receiver';
      return { at, from: fromAgent ? 'agent' : 'receiver', what: what.join(' '), action };
    });
}

/**
 * @param next what runs after each cut @param check what must hold then @param again puts all back as it was before the
 * change
 */
async function cutEverywhere(
  t: TestContext,
  lab: BackupSystem,
  steps: {
    readonly args: readonly string[];
    readonly check: () => Promise<boolean>;
    readonly again: (happened: boolean) => Promise<void>;
  },
): Promise<void> {
  const points = await cuts(lab, steps.args);
  assert.ok(points.length >= 3, `${points.length} points`);
  await steps.again(await steps.check());
  let done = 0;
  for (const { at, ...plan } of points) {
    const ran = await lab.run(steps.args, lab.interposed(plan));
    assert.notEqual(ran.status, 0, `cut at ${at}: ${ran.describe()}`);
    (await lab.run(['send'])).expect(0);
    const happened = await steps.check();
    assert.ok(!existsSync(join(lab.stateDir, 'archives/laptop/unfinished-changes')), `nothing is left to do: ${at}`);
    await steps.again(happened);
    if (happened) done++;
  }
  await lab.compareAll();
  t.diagnostic(`${done} changes happened of ${points.map(({ at }) => at).join(', ')}`);
  assert.ok(done < points.length, 'some cuts were before the change');
}

test('I9 G1 a tag that protects', { skip, timeout: limit(200_000) }, async (t) => {
  const lab = await scene(t, new Random('tag'));
  const [session] = [...lab.kept.get('a.img')!.keys()];
  const args = ['tag', 'a.img', '--session', session!, '--add', 'protected'];
  await cutEverywhere(t, lab, {
    args,
    async check() {
      const { volumes } = await lab.list('a.img');
      const tagged = volumes[0]!.sessions[0]!.tags.includes('protected');
      assert.equal(
        filesOf(lab).some((file) => file.endsWith('/protect')),
        tagged,
        'the receiver knows what the catalogue says',
      );
      return tagged;
    },
    async again(tagged) {
      if (tagged) await lab.ask(tagDocument, ['tag', 'a.img', '--session', session!, '--remove', 'protected']);
    },
  });
});

test('I9 G1 a rename, with the record of changes', { skip, timeout: limit(200_000) }, async (t) => {
  const random = new Random('rename');
  const lab = await scene(t, random);
  const names = { from: 'a.img', to: 'c.img' };
  const move = (from: string, to: string) => {
    renameSync(join(lab.pools[0]!.path, from), join(lab.pools[0]!.path, to));
  };
  move(names.from, names.to);
  // What is sent meanwhile is not there under the old name, which is no new volume either.
  lab.configure('initial = "ask-full"', undefined, [{ ...lab.pools[0]!, volumes: ['b.img'] }]);
  await cutEverywhere(t, lab, {
    args: ['rename', names.from, names.to],
    async check() {
      const { volumes } = await lab.list();
      const now = volumes.map(({ name }) => name).find((name) => name !== 'b.img')!;
      const onDisk = filesOf(lab)
        .filter((file) => file.endsWith('/name'))
        .map((file) => readFileSync(join(lab.root, file), 'utf8').trim());
      assert.deepEqual(onDisk.sort(), [now, 'b.img'].sort(), 'the name for restoring by hand');
      assert.deepEqual(
        lab
          .pairings()
          .map(({ volume }) => volume)
          .sort(),
        [now, 'b.img'].sort(),
        'dom0’s state',
      );
      const kept = lab.kept.get(names.from) ?? lab.kept.get(names.to)!;
      lab.kept.delete(now === names.from ? names.to : names.from);
      lab.kept.set(now, kept);
      return now === names.to;
    },
    async again(happened) {
      if (!happened) return;
      move(names.to, names.from);
      await lab.ask(renameDocument, ['rename', names.to, names.from]);
      move(names.from, names.to);
      lab.kept.set(names.from, lab.kept.get(names.to)!);
      lab.kept.delete(names.to);
    },
  });
});

test('I9 G1 I4 a delete', { skip, timeout: limit(200_000) }, async (t) => {
  const lab = await scene(t, new Random('delete'));
  lab.configure('', undefined, [{ ...lab.pools[0]!, volumes: ['b.img'] }]);
  const idsOnDisk = () => readdirSync(join(lab.root, 'laptop/volumes'));
  const sendBoth = async () => {
    lab.configure();
    await lab.send('--full');
    lab.configure('', undefined, [{ ...lab.pools[0]!, volumes: ['b.img'] }]);
  };
  await cutEverywhere(t, lab, {
    args: ['delete', 'a.img', '--yes'],
    async check() {
      const there = (await lab.list()).volumes.some(({ name }) => name === 'a.img');
      if (!there) lab.kept.delete('a.img');
      assert.equal(idsOnDisk().length, there ? 2 : 1, `on the disk: ${idsOnDisk().join(' ')}`);
      assert.equal(
        lab.pairings().some(({ volume }) => volume === 'a.img'),
        there,
        'dom0’s state',
      );
      if (there) await lab.restore('a.img');
      return !there;
    },
    async again(happened) {
      if (happened) await sendBoth();
    },
  });
  await lab.ask(deleteDocument, ['delete', 'a.img', '--yes']);
});

test('I9 G1 I4 a prune, with the tags of what is gone', { skip, timeout: limit(200_000) }, async (t) => {
  const random = new Random('prune');
  const lab = await scene(t, random);
  const oneMore = async () => {
    for (const name of ['a.img', 'b.img']) writeAt(lab.path(name), random.int(2) * CHUNK, random.bytes(3000));
    await lab.send('--tag', 'old');
  };
  for (let turn = 0; turn < 2; turn++) await oneMore();
  await cutEverywhere(t, lab, {
    args: ['prune', '--keep-last', '2', '--yes'],
    async check() {
      const { volumes } = await lab.list();
      for (const { name, sessions } of volumes) {
        const there = new Set(sessions.map(({ session }) => session));
        lab.pruned(
          name,
          [...lab.kept.get(name)!.keys()].filter((session) => !there.has(session)),
        );
        assert.ok(sessions.length >= 2);
      }
      return volumes.every(({ sessions }) => sessions.length === 2);
    },
    async again(happened) {
      // The same once more takes what the cut left.
      if (!happened) {
        const { volumes } = await lab.ask(pruneDocument, ['prune', '--keep-last', '2', '--yes']);
        for (const { name, sessions } of volumes)
          lab.pruned(
            name,
            sessions.filter(({ pruned }) => pruned).map(({ session }) => session),
          );
      }
      await lab.compareAll();
      await oneMore();
      const left = filesOf(lab).filter((file) => /pruning|dropped/.test(file));
      assert.deepEqual(left, [], 'the next change to the volume leaves nothing of what was cut off');
    },
  });
});

test('two commands at once take turns', { skip }, async (t) => {
  const lab = await scene(t, new Random('turns'));
  const [session] = [...lab.kept.get('a.img')!.keys()];
  const tags = ['one', 'two', 'three', 'four'];
  const ran = await Promise.all(tags.map((tag) => lab.run(['tag', 'a.img', '--session', session!, '--add', tag])));
  for (const each of ran) each.expect(0);
  const { volumes } = await lab.list('a.img');
  assert.deepEqual(volumes[0]!.sessions[0]!.tags.toSorted(), tags.toSorted(), 'none was lost');
});

test('I1 a restore while a prune runs is right', { skip, timeout: limit(200_000) }, async (t) => {
  const random = new Random('beside');
  const lab = await scene(t, random);
  for (let turn = 0; turn < 3; turn++) {
    writeAt(lab.path('a.img'), random.int(2) * CHUNK, random.bytes(3000));
    await lab.send();
  }
  const [first, second, third] = [...lab.kept.get('a.img')!];
  const to = join(lab.folder, 'beside.img');
  const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
  const plan: Interposition = { from: 'agent', what: 'get-chunks', action: 'hold', reached, go };
  const restoring = lab.start(['restore', 'a.img', '--session', third![0], '--to', to], lab.interposed(plan));
  while (!existsSync(reached)) await delay(20);
  const pruning = lab.start(['prune', 'a.img', '--session', `${first![0]}..${second![0]}`]);
  // The restore goes on while the prune waits for it, or is done already.
  await Promise.race([pruning.ended, delay(1500)]);
  writeFileSync(go, '');
  (await restoring.ended).expect(0);
  assert.ok(readFileSync(to).equals(readFileSync(third![1])), 'what was restored is what it was');
  (await pruning.ended).expect(0);
  lab.pruned('a.img', [first![0], second![0]]);
  await lab.compareAll();
  assert.equal(only((await lab.send()).volumes, 'a.img').kind, 'unchanged');
});

function filesOf(lab: BackupSystem): string[] {
  return readdirSync(lab.root, { recursive: true, encoding: 'utf8' });
}
