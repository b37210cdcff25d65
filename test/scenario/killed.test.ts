// A send is killed, signalled or cut off at every point that can be named; the next one, without any flag, goes on from
// there: nothing that was committed is lost, nothing is compared in full, nothing stays behind (I2, I3, I8, I9, G1,
// L11, L18).

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { writeAt } from './edits.ts';
import { sendDocument } from './documents.ts';
import { ground } from './mounts.ts';
import type { Interposition } from './interposed.ts';
import { BackupSystem, only } from './backup-system.ts';
import { BOTH_LINKS, LINK } from './link.ts';
import { limit } from '../fixtures/limits.ts';

const xfs = ground('xfs');
const CHUNK = 64 * 1024;
const NAMES = ['a.img', 'b.img'] as const;
const { skip } = xfs;

/** Two volumes of 40 chunks that were sent once. */
async function sentOnce(t: TestContext, random: Random, link = LINK): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { link, pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
  for (const name of NAMES) lab.write(name, random.bytes(40 * CHUNK - random.int(5000)));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  return lab;
}

function change(lab: BackupSystem, random: Random): void {
  for (const name of NAMES) writeAt(lab.path(name), random.int(39) * CHUNK, random.bytes(3000));
}

/**
 * A send that does not get to its end, changes after it, and the send that follows. Keeps what both committed.
 * @returns how many sessions the cut-off send had committed, and the one that followed
 */
async function cutOff(lab: BackupSystem, random: Random, cut: () => Promise<unknown>): Promise<number> {
  change(lab, random);
  const then = new Map(NAMES.map((name) => [name, readFileSync(lab.path(name))]));
  await cut();
  change(lab, random);
  const sent = (await lab.run(['send', '--json'])).expect(0).json(sendDocument);
  for (const { kind, compared, error, sentBytes } of sent.volumes) {
    assert.deepEqual({ kind, compared, error }, { kind: 'incremental', compared: false, error: undefined });
    assert.ok(sentBytes < 10 * CHUNK, `${String(sentBytes)} bytes were sent`);
  }
  let committed = 0;
  const { volumes } = await lab.list();
  for (const name of NAMES) {
    const known = lab.kept.get(name)!;
    const listed = volumes.find((volume) => volume.name === name)!.sessions.map(({ session }) => session);
    for (const session of listed.filter((each) => !known.has(each) && each !== sent.session)) {
      lab.keepBytes(name, session, then.get(name)!);
      committed++;
    }
  }
  lab.keep(sent);
  lab.assertNothingStray();
  return committed;
}

/** One of the newest two sessions of one volume: whose turn it is. */
async function compareOne(lab: BackupSystem, turn: number): Promise<void> {
  const name = NAMES[turn % 2]!;
  const [session, copy] = [...lab.kept.get(name)!].at(turn % 4 < 2 ? -1 : -2)!;
  assert.ok((await lab.restore(name, session)).equals(readFileSync(copy)), `${name} at ${session}`);
  lab.compared++;
}

test('I2 I9 L18 killed between the receiver’s commit and dom0’s note of it', { skip }, async (t) => {
  const random = new Random('after commit');
  const lab = await sentOnce(t, random);
  const plan: Interposition = { from: 'receiver', what: 'done to commit', action: 'kill-agent' };
  const committed = await cutOff(lab, random, async () => {
    (await lab.run(['send'], lab.interposed(plan))).expectKilled();
  });
  assert.equal(committed, 1, 'one volume was committed, the other was not');
  await lab.compareAll();
});

test('I2 I3 I8 I9 G1 L11 killed at each message, either way', { skip, timeout: limit(400_000) }, async (t) => {
  const random = new Random('each message');
  const lab = await sentOnce(t, random);
  const trace = join(lab.folder, 'trace');
  change(lab, random);
  lab.keep((await lab.run(['send', '--json'], lab.interposed(null, trace))).expect(0).json(sendDocument));
  const points = pointsOf(readFileSync(trace, 'utf8').trim().split('\n'));
  assert.ok(points.length > 30, `${String(points.length)} points`);
  let committed = 0;
  for (const [turn, point] of points.entries()) {
    const reached = join(lab.folder, `reached-${String(turn)}`);
    const action = point.from === 'agent' && turn % 2 === 0 ? 'deliver-and-kill-agent' : 'kill-agent';
    committed += await cutOff(lab, random, async () => {
      const ran = await lab.run(['send'], lab.interposed({ ...point, action, reached }));
      assert.ok(existsSync(reached), `${point.from} ${point.what} ${String(point.nth)} was reached: ${ran.describe()}`);
    });
    await compareOne(lab, turn);
  }
  await lab.verifyAll();
  t.diagnostic(`${points.length} points, ${committed} sessions of killed sends, ${lab.compared} compared`);
  assert.ok(committed > 0 && committed < 2 * points.length);
});

test('S14 I2 I3 killed at random moments of a send that is full of chunks', { skip }, async (t) => {
  const random = new Random('random moments');
  const lab = await sentOnce(t, random);
  const rounds = 6;
  for (let turn = 0; turn < rounds; turn++) {
    for (const name of NAMES) writeAt(lab.path(name), 0, random.bytes(39 * CHUNK));
    const nth = random.between(1, 60);
    const action = random.pick(['kill-agent', 'deliver-and-kill-agent', 'kill-receiver'] as const);
    const ran = await lab.run(['send'], lab.interposed({ from: 'agent', what: 'chunk', nth, action }));
    assert.notEqual(ran.status, 0, `chunk ${nth} was reached`);
    const sent = await lab.ask(sendDocument, ['send']);
    assert.ok(sent.volumes.every(({ compared }) => !compared));
    lab.assertNothingStray();
    for (const name of NAMES) assert.ok((await lab.restore(name)).equals(readFileSync(lab.path(name))), name);
  }
  await lab.verifyAll();
});

/** The first message of each kind, and the second of those that every volume has once. */
function pointsOf(trace: readonly string[]): { from: 'agent' | 'receiver'; what: string; nth: number }[] {
  const counts = new Map<string, number>();
  for (const line of trace) counts.set(line, (counts.get(line) ?? 0) + 1);
  const twice = ['agent commit', 'receiver done to begin', 'receiver done to commit', 'agent page'];
  return [...counts].flatMap(([line, count]) => {
    const [from = '', ...rest] = line.split(' ');
    const point = { from: from as 'agent' | 'receiver', what: rest.join(' ') };
    return twice.includes(line) && count > 1
      ? [
          { ...point, nth: 1 },
          { ...point, nth: 2 },
        ]
      : [{ ...point, nth: 1 }];
  });
}

for (const link of BOTH_LINKS) {
  for (const action of ['term-agent', 'int-agent', 'kill-receiver'] as const) {
    test(`G1 I8 I9 ${action} in each phase, ${link}`, { skip }, async (t) => {
      const random = new Random(`${action} ${link}`);
      const lab = await sentOnce(t, random, link);
      const all = [
        ['receiver', 'opened to open'],
        ['receiver', 'done to commit'],
        ['agent', 'page'],
        ['agent', 'put-catalogue'],
        ['receiver', 'data to get-index'],
        ['receiver', 'done to begin'],
        ['receiver', 'done to put-catalogue'],
      ] as const;
      // To the agent both signals mean the same.
      const points = action === 'int-agent' ? all.slice(0, 3) : all;
      for (const [turn, [from, what]] of points.entries()) {
        await cutOff(lab, random, async () => {
          const ran = await lab.run(['--json', 'send'], lab.interposed({ from, what, action }));
          ran.expect(action === 'kill-receiver' ? 5 : 130);
          assert.match(ran.stderr, action === 'kill-receiver' ? /receiver/ : /interrupted/);
        });
        await compareOne(lab, turn);
      }
      t.diagnostic(`${points.length} points, ${lab.compared} compared`);
    });
  }
}

test(
  'G1 I3 a first full that is killed before its commit is invisible, and the same command again makes it',
  { skip },
  async (t) => {
    const random = new Random('first full');
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
    lab.write('a.img', random.bytes(5 * CHUNK + 17));
    await lab.init('--chunk-size', '64K');
    for (const [from, what] of [
      ['agent', 'chunk'],
      ['receiver', 'done to commit'],
    ] as const) {
      (await lab.run(['send', '--full'], lab.interposed({ from, what, action: 'kill-agent' }))).expectKilled();
      if (what === 'chunk') assert.deepEqual((await lab.list()).volumes, []);
    }
    const { volumes } = await lab.list();
    assert.deepEqual(
      volumes.map(({ name, uncatalogued }) => [name, uncatalogued]),
      [['a.img', true]],
    );
    const again = await lab.send('--full');
    assert.equal(only(again.volumes, 'a.img').compared, false);
    assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
    assert.equal((await lab.list()).volumes[0]?.uncatalogued, undefined);
    lab.assertNothingStray();
  },
);
