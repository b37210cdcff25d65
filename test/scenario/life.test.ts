// The life of an archive through the real programs: what is pruned, tagged, renamed, deleted and adopted, and that all
// that stays is what it was.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import {
  adoptDocument,
  deleteDocument,
  errorDocument,
  pruneDocument,
  renameDocument,
  sendDocument,
  tagDocument,
  unlockDocument,
} from './documents.ts';
import { writeAt } from './edits.ts';
import { ground, type Mounts } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const plain = ground('plain');
const btrfs = ground('btrfs');
const CHUNK = 64 * 1024;
const NAMES = ['a.img', 'b.img'] as const;

interface Scene {
  readonly on?: Mounts;
  readonly init?: readonly string[];
  readonly type?: 'file' | 'reflink';
  readonly more?: string;
}

/** Two volumes of six chunks and so many sessions of both. */
async function withSessions(
  t: TestContext,
  count: number,
  { on = plain, init = [], type = 'file', more = '' }: Scene = {},
): Promise<{ lab: BackupSystem; random: Random; sessions: string[] }> {
  const random = new Random('life');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type, path: on.folder() }], more });
  await lab.init('--chunk-size', '64K', ...init);
  const sessions: string[] = [];
  for (let turn = 0; turn < count; turn++) {
    for (const name of NAMES) {
      if (turn === 0) lab.write(name, random.bytes(6 * CHUNK - 100));
      else writeAt(lab.path(name), random.int(5) * CHUNK, random.bytes(3000));
    }
    sessions.push((await lab.send('--full')).session!);
  }
  return { lab, random, sessions };
}

const goes = (volumes: readonly { name: string; sessions: readonly { session: string; pruned: boolean }[] }[]) =>
  new Map(
    volumes.map((each) => [each.name, each.sessions.filter(({ pruned }) => pruned).map(({ session }) => session)]),
  );

describe('prune', () => {
  test('I4 by name, by range and by policy, the rest stays what it was; a dry run takes nothing', async (t) => {
    const { lab, sessions } = await withSessions(t, 6);
    const dry = await lab.ask(pruneDocument, ['prune', '--session', sessions[1]!, '--dry-run']);
    assert.ok(dry.dryRun && dry.freedBytes > 0);
    await lab.compareAll();
    const one = await lab.ask(pruneDocument, ['prune', '--session', sessions[1]!]);
    assert.equal(one.freedBytes, dry.freedBytes, 'what was said is what came');
    for (const name of NAMES) {
      assert.deepEqual(goes(one.volumes).get(name), [sessions[1]]);
      lab.pruned(name, [sessions[1]!]);
    }
    await lab.ask(pruneDocument, ['prune', 'a.img', '--session', `${sessions[2]!}..${sessions[5]!}`]);
    lab.pruned('a.img', sessions.slice(2, 5));
    await lab.compareAll();
    const policy = await lab.ask(pruneDocument, ['prune', '--keep-last', '2', '--yes']);
    assert.deepEqual(goes(policy.volumes).get('a.img'), []);
    assert.deepEqual(goes(policy.volumes).get('b.img'), [sessions[0], sessions[2], sessions[3]]);
    lab.pruned('b.img', [sessions[0]!, sessions[2]!, sessions[3]!]);
    await lab.compareAll();
    await lab.verifyAll();
    const again = (await lab.run(['prune', '--session', sessions[1]!, '--json'])).expect(1).json(errorDocument);
    assert.equal(again.error.code, 'not-found');
  });

  test('a connection that breaks half-way: what went is in the table, and the next run does the rest', async (t) => {
    const { lab, sessions } = await withSessions(t, 3);
    const died = { from: 'agent', what: 'prune', nth: 2, action: 'kill-receiver' } as const;
    const args = ['prune', '--keep-last', '1', '--yes'];
    const ran = (await lab.run([...args, '--json'], lab.interposed(died))).expect(5);
    const { volumes, freedBytes, error } = ran.json(pruneDocument);
    assert.equal(error?.code, 'unreachable');
    assert.ok(freedBytes > 0);
    assert.deepEqual(
      [...goes(volumes)],
      [
        ['a.img', [sessions[1]]],
        ['b.img', []],
      ],
    );
    const rest = await lab.ask(pruneDocument, args);
    assert.deepEqual(
      [...goes(rest.volumes)],
      [
        ['a.img', [sessions[0]]],
        ['b.img', [sessions[0], sessions[1]]],
      ],
    );
    for (const name of NAMES) lab.pruned(name, sessions.slice(0, 2));
    await lab.compareAll();
  });

  test('shows a calendar, asks for a policy, and takes the policy of the configuration', async (t) => {
    const { lab, sessions } = await withSessions(t, 3, {
      more: '[retention]\nkeep_last = 1\nkeep_tag = ["release"]\n',
    });
    const shown = (await lab.run(['prune', '--dry-run', '--keep-last', '1'])).expect(0).stdout;
    assert.match(shown, /4 of 6 sessions would be pruned, .* would be freed/);
    assert.match(shown, /^ {2}more than half of b\.img: 2 of 3 sessions$/m);
    // When it was made, which may be some seconds after its name.
    const told = await lab.ask(pruneDocument, ['prune', '--dry-run', '--keep-last', '1']);
    const clock = (name: string) =>
      told.volumes[0]!.sessions.find(({ session }) => session === name)!.time.slice(11, 19);
    assert.match(shown, new RegExp(`-${clock(sessions[0]!)} .*\\+${clock(sessions[2]!)}`));
    const mistyped = (await lab.run(['prune', '--yes'])).expect(2);
    assert.match(mistyped.stderr, /nothing was pruned: no session has the tag "release"/);
    for (const args of [
      ['--keep-last', '2', '--keep-tag', ''],
      ['--keep-last', '0'],
      ['--keep-within', '0d'],
    ]) {
      (await lab.run(['prune', ...args, '--yes'])).expect(2);
    }
    await lab.compareAll();
    await lab.ask(tagDocument, ['tag', 'a.img', '--session', sessions[0]!, '--add', 'release']);
    const refused = (await lab.run(['prune'])).expect(2);
    assert.match(refused.stderr, /--yes/);
    const { volumes } = await lab.ask(pruneDocument, ['prune', '--yes']);
    for (const name of NAMES) {
      assert.deepEqual(goes(volumes).get(name), [sessions[1]], 'the same moment stays of each volume');
      lab.pruned(name, [sessions[1]!]);
    }
    await lab.compareAll();
  });

  test('the newest never goes, nor what is protected, nor the newest that the receiver keeps', async (t) => {
    const { lab, sessions } = await withSessions(t, 4);
    const newest = (await lab.run(['prune', '--session', sessions[3]!])).expect(1);
    assert.match(newest.stderr, /one of the newest/);
    await lab.ask(tagDocument, ['tag', 'a.img', '--session', sessions[1]!, '--add', 'protected:contract']);
    const guarded = (await lab.run(['prune', 'a.img', '--session', sessions[1]!])).expect(1);
    assert.match(guarded.stderr, /protected/);
    const { volumes } = await lab.ask(pruneDocument, ['prune', '--keep-last', '1', '--yes']);
    assert.deepEqual(goes(volumes).get('a.img'), [sessions[0], sessions[2]]);
    // What is protected is a moment, of every volume.
    assert.deepEqual(goes(volumes).get('b.img'), [sessions[0], sessions[2]]);
    for (const name of NAMES) lab.pruned(name, [sessions[0]!, sessions[2]!]);
    await lab.compareAll();
  });

  test('send --autoprune does it after the send', async (t) => {
    const { lab, random, sessions } = await withSessions(t, 3, { more: '[retention]\nkeep_last = 2\n' });
    writeAt(lab.path('a.img'), 0, random.bytes(3000));
    // Two of four sessions of a.img would go, and two of three of b.img: that is more than half.
    const first = (await lab.run(['send', '--autoprune', '--json'])).expect(3).json(sendDocument);
    lab.keep(first);
    assert.deepEqual([...goes(first.pruned!.volumes).values()], [sessions.slice(0, 2), []]);
    assert.match(first.pruned!.volumes[1]!.error!.message, /would remove 2 of its 3 sessions at once/);
    lab.pruned('a.img', sessions.slice(0, 2));
    await lab.compareAll();
    writeAt(lab.path('a.img'), 0, random.bytes(3000));
    const sent = await lab.send('--autoprune', '--yes');
    assert.deepEqual(
      goes(sent.pruned!.volumes),
      new Map([
        ['a.img', [sessions[2]]],
        ['b.img', sessions.slice(0, 2)],
      ]),
      'the newest two moments: b.img did not change in either',
    );
    lab.pruned('a.img', [sessions[2]!]);
    lab.pruned('b.img', sessions.slice(0, 2));
    await lab.compareAll();
  });

  test('autoprune = "space" leaves all while there is room, and takes the oldest where there is none', async (t) => {
    const retention = '[retention]\nkeep_last = 1\n';
    const { lab, sessions } = await withSessions(t, 3, {
      more: `autoprune = "space"\nlow_space = "1KiB"\n${retention}`,
    });
    assert.deepEqual(goes((await lab.send('--autoprune')).pruned!.volumes).get('a.img'), []);
    lab.configure(`autoprune = "space"\nlow_space = "100%"\n${retention}`);
    const half = (await lab.run(['send', '--autoprune', '--json'])).expect(3).json(sendDocument);
    assert.ok(half.pruned!.volumes.every(({ error }) => error?.message.includes('2 of its 3 sessions')));
    for (const name of NAMES) {
      assert.deepEqual(
        goes(half.pruned!.volumes).get(name),
        sessions.slice(0, 1),
        'the oldest half, for want of a yes',
      );
      lab.pruned(name, sessions.slice(0, 1));
    }
    const { pruned } = await lab.send('--autoprune', '--yes');
    for (const name of NAMES) {
      assert.deepEqual(goes(pruned!.volumes).get(name), sessions.slice(1, 2));
      lab.pruned(name, sessions.slice(1, 2));
    }
    await lab.compareAll();
  });
});

describe('tag', () => {
  test('adds and takes off; the receiver learns of one bit alone', async (t) => {
    const { lab, sessions } = await withSessions(t, 2);
    const tag = (...args: string[]) => lab.ask(tagDocument, ['tag', 'a.img', '--session', sessions[0]!, ...args]);
    assert.deepEqual((await tag('--add', 'before-upgrade', '--add', 'protected')).tags, [
      'before-upgrade',
      'protected',
    ]);
    assert.ok(protectedIn(lab).includes(sessions[0]!));
    const { volumes } = await lab.list();
    assert.deepEqual(volumes[0]!.sessions[0]!.tags, ['before-upgrade', 'protected']);
    assert.deepEqual((await tag('--remove', 'protected')).tags, ['before-upgrade']);
    assert.deepEqual(protectedIn(lab), []);
    assert.ok(!everyByte(lab).includes('before-upgrade'), 'I6 the tag is not in the clear');
    (await lab.run(['tag', 'a.img', '--session', 'S_20010101-000000', '--add', 'x'])).expect(1);
    (await lab.run(['tag', 'a.img', '--session', sessions[0]!])).expect(2);
    const sent = await lab.send('--tag', 'protected');
    assert.equal(sent.session, null);
    writeFileSync(lab.path('a.img'), new Random('tag').bytes(CHUNK));
    const { session } = await lab.send('--tag', 'protected');
    assert.deepEqual(protectedIn(lab), [session]);
  });
});

describe('rename and delete', { skip: btrfs.skip }, () => {
  test('a renamed volume goes on incrementally under its new name, restorable by hand', async (t) => {
    const { lab, random } = await withSessions(t, 2, { on: btrfs, type: 'reflink', init: ['--encryption', 'off'] });
    renameSync(lab.path('a.img'), join(lab.pools[0]!.path, 'c.img'));
    await lab.ask(renameDocument, ['rename', 'a.img', 'c.img']);
    lab.kept.set('c.img', lab.kept.get('a.img')!);
    lab.kept.delete('a.img');
    writeAt(lab.path('c.img'), 0, random.bytes(3000));
    const sent = await lab.send();
    assert.deepEqual([only(sent.volumes, 'c.img').kind, only(sent.volumes, 'c.img').compared], ['incremental', false]);
    assert.ok(everyByte(lab, 'name').includes('c.img') && !everyByte(lab, 'name').includes('a.img'));
    await lab.compareAll();
    (await lab.run(['rename', 'c.img', 'b.img'])).expect(2);
  });

  test('a deleted volume is gone, is never brought back, and can be sent anew', async (t) => {
    const { lab } = await withSessions(t, 2, { on: btrfs, type: 'reflink' });
    assert.match((await lab.run(['delete', 'a.img'])).expect(2).stderr, /--yes/);
    const before = readdirSync(join(lab.root, 'laptop/volumes')).length;
    assert.ok((await lab.ask(deleteDocument, ['delete', 'a.img', '--yes'])).freedBytes > 6 * CHUNK);
    assert.equal(readdirSync(join(lab.root, 'laptop/volumes')).length, before - 1);
    lab.kept.delete('a.img');
    await lab.compareAll();
    assert.deepEqual(
      (await lab.list()).volumes.map(({ name }) => name),
      ['b.img'],
    );
    const skipped = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    assert.equal(only(skipped.volumes, 'a.img').kind, 'skipped');
    await lab.send('--full');
    await lab.compareAll();
    lab.assertNothingStray();
  });
});

describe('adopt', () => {
  test('a new computer takes over: what was not listed is listed, and the old one may only read', async (t) => {
    const { lab, random } = await withSessions(t, 2);
    const changed = () => NAMES.map((name) => writeAt(lab.path(name), CHUNK, random.bytes(3000)));
    changed();
    const plan = { from: 'receiver', what: 'done to commit', action: 'kill-agent' } as const;
    (await lab.run(['send'], lab.interposed(plan))).expectKilled();
    const old = lab.stateDir;
    const fresh = join(lab.folder, 'fresh-state');
    const as = (stateDir: string) =>
      writeFileSync(
        lab.config,
        readFileSync(lab.config, 'utf8').replace(/state_dir = .*/, `state_dir = ${JSON.stringify(stateDir)}`),
      );
    as(fresh);
    await lab.ask(unlockDocument, ['key', 'unlock', '--passphrase-file', join(lab.folder, 'passphrase')]);
    assert.match((await lab.run(['send'])).expect(5).stderr, /adopt/);
    (await lab.run(['adopt'])).expect(2);
    const { adopted } = await lab.ask(adoptDocument, ['adopt', '--yes']);
    assert.deepEqual(
      adopted.map(({ name, isNew }) => [name, isNew]),
      [['a.img', false]],
    );
    lab.keepOne('a.img', adopted[0]!.session, lab.path('a.img'));
    await lab.compareAll();
    changed();
    const sent = await lab.send();
    assert.ok(sent.volumes.every(({ kind, compared }) => kind === 'incremental' && compared));
    await lab.compareAll();
    lab.assertNothingStray();
    as(old);
    assert.match((await lab.run(['send'])).expect(5).stderr, /another dom0 writes/);
    await lab.compareAll();
  });
});

/** Sessions that the receiver keeps from being pruned, by the files of its archive. */
function protectedIn(lab: BackupSystem): string[] {
  return filesOf(lab)
    .filter((file) => file.endsWith('/protect'))
    .map((file) => file.split('/').at(-2)!);
}

function filesOf(lab: BackupSystem): string[] {
  return readdirSync(lab.root, { recursive: true, encoding: 'utf8' });
}

/** All that the receiver has, or all of its files of one name. */
function everyByte(lab: BackupSystem, name?: string): string {
  return filesOf(lab)
    .filter((file) => name === undefined || file.endsWith(`/${name}`))
    .map((file) => join(lab.root, file))
    .filter(
      (path) =>
        existsSync(path) &&
        !readdirSync(join(path, '..'), { withFileTypes: true }).some(
          (entry) => entry.isDirectory() && path.endsWith(`/${entry.name}`),
        ),
    )
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}
