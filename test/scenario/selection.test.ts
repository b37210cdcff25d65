// Which volumes a command is about, and what becomes of the others when one fails (DESIGN of exit status 2 and 3; L6,
// L9, L17).

import assert from 'node:assert/strict';
import {
  chownSync,
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import {
  dryRunDocument,
  listDocument,
  monitorDocument,
  sendDocument,
  statusDocument,
  type SendDocument,
} from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const btrfs = ground('btrfs');
const plain = ground('plain');
const { skip } = btrfs;
const KIB = 1024;

const kinds = ({ volumes }: SendDocument) => Object.fromEntries(volumes.map(({ name, kind }) => [name, kind]));

describe('names', { skip }, () => {
  test('of every sort are listed, sent and restored, from two pools and by globs, excludes and a list', async (t) => {
    const random = new Random('names');
    const [qubes, files] = [btrfs.folder(), plain.folder()];
    const lab = new BackupSystem(t, {
      pools: [
        { name: 'qubes', type: 'reflink', path: qubes, volumes: ['*/private.img', '-*', 'été/*'], exclude: ['dvm*/*'] },
        { name: 'files', type: 'file', path: files, volumes: ['[ab]?.raw'], more: 'volumes_from = "list.conf"' },
      ],
    });
    writeFileSync(join(lab.folder, 'list.conf'), '# the older list\nwith a space.raw\n\ndeep/er/x.raw\n');
    const wanted = [
      'work/private.img',
      'my vm/private.img',
      '-dash.img',
      'été/π "q".img',
      'a1.raw',
      'b2.raw',
      'with a space.raw',
      'deep/er/x.raw',
    ];
    const others = ['dvm-1/private.img', 'work/root.img', 'c1.raw', 'a11.raw'];
    for (const name of [...wanted, ...others]) {
      const path = join(name.endsWith('.raw') ? files : qubes, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, random.bytes(random.between(1, 200 * KIB)));
    }
    await lab.init('--chunk-size', '64K');
    const sent = await lab.send('--full');
    assert.deepEqual(kinds(sent), Object.fromEntries(wanted.sort().map((name) => [name, 'full'])));
    for (const name of wanted) writeAt(lab.path(name), 0, random.bytes(10));
    await lab.monitor();

    const one = await lab.ask(sendDocument, ['send', '--', '-dash.img']);
    assert.deepEqual(kinds(one), { '-dash.img': 'incremental' });
    lab.keep(one);
    const two = await lab.ask(sendDocument, ['send', 'été/π "q".img', 'a1.raw', 'a1.raw', '--json']);
    assert.deepEqual(Object.keys(kinds(two)), ['a1.raw', 'été/π "q".img']);
    lab.keep(two);
    lab.keep(await lab.ask(sendDocument, ['send']));
    await lab.compareAll();

    const listed = await lab.ask(listDocument, ['list', '--', '-dash.img']);
    assert.deepEqual(
      listed.volumes.map(({ name, sessions }) => [name, sessions.length]),
      [['-dash.img', 2]],
    );
    for (const name of others) (await lab.run(['send', name])).expect(1);
    assert.match((await lab.run(['send', 'none'])).expect(1).stderr, /"none".*\n.*→ There are: .*a1\.raw/);
  });

  test('that are in two pools are exit 2, for every command that takes volumes', async (t) => {
    const folders = [plain.folder(), plain.folder()];
    for (const folder of folders) writeFileSync(join(folder, 'same.img'), 'x');
    const lab = new BackupSystem(t, {
      pools: folders.map((path, index) => ({ name: `pool${String(index)}`, type: 'file', path })),
    });
    await lab.init();
    for (const command of [['send', '--full'], ['monitor'], [], ['-s', '-f']]) {
      const ran = (await lab.run(command)).expect(2);
      assert.match(ran.stderr, /same\.img is in pool pool0 and in pool pool1/);
    }
    lab.configure('', undefined, [lab.pools[0]!, { ...lab.pools[1]!, exclude: ['same.img'], volumes: ['*'] }]);
    assert.deepEqual(kinds(await lab.send('--full')), { 'same.img': 'full' });
  });

  test('of nothing at all are exit 2', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    await lab.init();
    lab.configure('', undefined, [{ ...lab.pools[0]!, volumes: [] }]);
    (await lab.run(['send', '--full'])).expect(2);
    lab.configure('', undefined, []);
    assert.match((await lab.run(['monitor'])).expect(2).stderr, /selects no volume/);
  });
});

describe('what a pattern matches and no command can take', { skip }, () => {
  for (const type of ['reflink', 'file'] as const) {
    test(`is named with its reason and makes exit 3, in a pool of type ${type}`, async (t) => {
      const path = type === 'file' ? plain.folder() : btrfs.folder();
      const lab = new BackupSystem(t, { pools: [{ name: 'main', type, path, volumes: ['*.img', 'folder'] }] });
      lab.write('a.img', Buffer.from('a'));
      mkdirSync(join(path, 'folder'));
      assert.equal(spawnSync('mkfifo', [join(path, 'fifo.img')]).status, 0);
      await lab.init();
      const leftOut = { 'fifo.img': /FIFO/, folder: /a folder/ };

      const sent = (await lab.run(['send', '--full', '--json'])).expect(3).json(sendDocument);
      assert.deepEqual(kinds(sent), { 'a.img': 'full', 'fifo.img': 'skipped', folder: 'skipped' });
      const dry = (await lab.run(['send', '--dry-run', '--json'])).expect(3).json(dryRunDocument);
      const monitored = (await lab.run(['monitor', '--json'])).expect(3).json(monitorDocument);
      const stands = (await lab.run(['status', '--json'])).expect(3).json(statusDocument);
      for (const { volumes } of [sent, dry, monitored, stands]) {
        for (const [name, reason] of Object.entries(leftOut)) {
          const { error } = volumes.find((each) => each.name === name) as { error?: { code: string; message: string } };
          assert.equal(error?.code, 'left-out', name);
          assert.match(error.message, reason);
        }
      }
      for (const args of [['send'], ['send', '--dry-run'], ['monitor'], ['status']]) {
        assert.match((await lab.run(args)).expect(3).stdout, /^fifo\.img .*not taken: it is a FIFO/m);
      }
      assert.deepEqual(kinds(await lab.ask(sendDocument, ['send', 'a.img'])), { 'a.img': 'unchanged' });
      const one = (await lab.run(['send', 'fifo.img', '--json'])).expect(3).json(sendDocument);
      assert.deepEqual(kinds(one), { 'fifo.img': 'skipped' });

      lab.configure('', undefined, [{ ...lab.pools[0]!, volumes: ['*.img'], exclude: ['fo*', 'fi*'] }]);
      assert.deepEqual(kinds(await lab.ask(sendDocument, ['send'])), { 'a.img': 'unchanged' });
    });
  }
});

describe('the commands of the older tool', { skip }, () => {
  test('-s, -s -f, -f alone, and none; new volumes are skipped until they are asked for', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: btrfs.folder() }] });
    lab.write('a.img', Buffer.from('a'));
    await lab.init();
    const skipped = (await lab.run(['-s', '--json'])).expect(3).json(sendDocument);
    assert.deepEqual([skipped.session, only(skipped.volumes, 'a.img').kind], [null, 'skipped']);
    assert.match(only(skipped.volumes, 'a.img').error!.message, /--full/);
    assert.deepEqual(lab.snapshots(), [], 'nothing was snapshotted for it');
    (await lab.run(['-f'])).expect(2);
    for (const args of [
      ['-f', 'send'],
      ['-s', 'monitor'],
      ['-s', '-f', 'list'],
    ])
      (await lab.run(args)).expect(2);
    const full = (await lab.run(['-s', '-f', '--json'])).expect(0).json(sendDocument);
    assert.deepEqual(kinds(full), { 'a.img': 'full' });
    lab.write('b.img', Buffer.from('b'));
    lab.write('a.img', Buffer.from('c'));
    const some = (await lab.run(['--json', '-s'])).expect(3).json(sendDocument);
    assert.deepEqual(kinds(some), { 'a.img': 'incremental', 'b.img': 'skipped' });
    assert.notEqual(some.session, null);
    const monitored = (await lab.run(['--json'])).expect(0).json(monitorDocument);
    assert.deepEqual(
      monitored.volumes.map(({ name, kind }) => [name, kind]),
      [
        ['a.img', 'monitored'],
        ['b.img', 'unpaired'],
      ],
    );
    assert.deepEqual(kinds((await lab.run(['-sf', '--json'])).expect(0).json(sendDocument)), {
      'a.img': 'unchanged',
      'b.img': 'full',
    });
  });

  test('initial = "full" sends new volumes unasked', async (t) => {
    const lab = new BackupSystem(t, {
      pools: [{ name: 'main', type: 'file', path: plain.folder() }],
      more: 'initial = "full"',
    });
    lab.write('a.img', Buffer.from('a'));
    await lab.init();
    assert.deepEqual(kinds(await lab.send()), { 'a.img': 'full' });
  });

  test('--dry-run sends nothing and says what would be read', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: btrfs.folder() }] });
    lab.write('a.img', Buffer.alloc(200 * KIB, 1));
    await lab.init('--chunk-size', '64K');
    assert.deepEqual((await lab.ask(dryRunDocument, ['send', '--dry-run'])).volumes, [
      { name: 'a.img', changedBytes: null },
    ]);
    await lab.send('--full');
    writeAt(lab.path('a.img'), 70_000, Buffer.from('changed'));
    assert.deepEqual((await lab.ask(dryRunDocument, ['send', '--dry-run'])).volumes, [
      { name: 'a.img', changedBytes: 64 * KIB },
    ]);
    assert.equal((await lab.list()).volumes[0]?.sessions.length, 1);
    assert.equal(only((await lab.send()).volumes, 'a.img').changedBytes, 64 * KIB);
  });

  test('--tag names sessions', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    lab.write('a.img', Buffer.from('a'));
    await lab.init();
    await lab.send('--full', '--tag', 'before upgrade', '--tag', 'ü');
    lab.write('a.img', Buffer.from('b'));
    await lab.send();
    const { volumes } = await lab.list();
    assert.deepEqual(
      volumes[0]!.sessions.map(({ tags, kind }) => [kind, tags]),
      [
        ['full', ['before upgrade', 'ü']],
        ['incremental', []],
      ],
    );
  });
});

describe('a volume that fails', { skip }, () => {
  /** Three volumes, sent once; `b.img` is about to fail. */
  async function three(t: TestContext, type: 'reflink' | 'file'): Promise<BackupSystem> {
    const lab = new BackupSystem(t, {
      pools: [
        {
          name: 'main',
          type,
          path: type === 'file' ? plain.folder() : btrfs.folder(),
          volumes: ['a.img', 'b.img', 'c.img'],
        },
      ],
    });
    for (const name of ['a.img', 'b.img', 'c.img']) lab.write(name, Buffer.alloc(300 * KIB, name));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    for (const name of ['a.img', 'b.img', 'c.img']) writeAt(lab.path(name), 1000, Buffer.from('changed'));
    return lab;
  }

  async function othersCommitted(
    lab: BackupSystem,
    sent: SendDocument,
    reason: RegExp,
    kind: 'failed' | 'skipped' = 'failed',
  ): Promise<void> {
    assert.deepEqual(kinds(sent), { 'a.img': 'incremental', 'b.img': kind, 'c.img': 'incremental' });
    assert.match(only(sent.volumes, 'b.img').error!.message, reason);
    lab.keep(sent);
    await lab.compareAll();
    lab.assertNothingStray();
  }

  test('L6 because it is gone is exit 3 with the reason, and its state stays for when it comes back', async (t) => {
    const lab = await three(t, 'reflink');
    renameSync(lab.path('b.img'), `${lab.pools[0]!.path}/elsewhere`);
    const sent = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    await othersCommitted(lab, sent, /not there/);
    (await lab.run(['monitor'])).expect(3);
    renameSync(`${lab.pools[0]!.path}/elsewhere`, lab.path('b.img'));
    const back = await lab.send();
    assert.deepEqual([only(back.volumes, 'b.img').kind, only(back.volumes, 'b.img').compared], ['incremental', false]);
    assert.ok((await lab.restore('b.img')).equals(readFileSync(lab.path('b.img'))));
  });

  test('L6 because it vanishes between the list and the snapshot', async (t) => {
    const lab = await three(t, 'reflink');
    const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
    // The list was made before the first word to the receiver.
    const running = lab.start(
      ['send', '--json'],
      lab.interposed({ from: 'receiver', what: 'opened to open', action: 'hold', reached, go }),
    );
    while (!existsSync(reached)) await new Promise((resolve) => setTimeout(resolve, 10));
    rmSync(lab.path('b.img'));
    writeFileSync(go, '');
    await othersCommitted(lab, (await running.ended).expect(3).json(sendDocument), /no such file/);
  });

  test('because something else has its name', async (t) => {
    const lab = await three(t, 'reflink');
    rmSync(lab.path('b.img'));
    symlinkSync('a.img', join(lab.pools[0]!.path, 'b.img'));
    const sent = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    await othersCommitted(lab, sent, /a symbolic link/, 'skipped');
  });

  test('because it changes while it is read, in a pool that cannot freeze', async (t) => {
    const lab = await three(t, 'file');
    const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
    const running = lab.start(
      ['send', '--json'],
      lab.interposed({ from: 'receiver', what: 'done to begin', nth: 2, action: 'hold', reached, go }),
    );
    while (!existsSync(reached)) await new Promise((resolve) => setTimeout(resolve, 10));
    writeAt(lab.path('b.img'), 200 * KIB, Buffer.from('while it is read'));
    writeFileSync(go, '');
    await othersCommitted(
      lab,
      (await running.ended).expect(3).json(sendDocument),
      /b\.img: it was written to while it was read/,
    );
    const again = await lab.send();
    assert.deepEqual(kinds(again), { 'a.img': 'unchanged', 'b.img': 'incremental', 'c.img': 'unchanged' });
  });

  test('L7 because it cannot be read', { skip: process.getuid?.() === 0 ? false : 'machine: not root' }, async (t) => {
    const lab = await three(t, 'file');
    const nobody = 65_534;
    // As somebody who may do all but read that one.
    chmodSync(join(lab.pools[0]!.path, '..'), 0o755);
    const folders = [lab.folder, lab.stateDir, lab.root, lab.pools[0]!.path];
    // It must be able to call, too.
    if (lab.qubes !== undefined) folders.push(lab.qubes.folder);
    for (const folder of folders) chownTree(folder, nobody);
    chownSync(lab.path('b.img'), 0, 0);
    chmodSync(lab.path('b.img'), 0);
    const wrapper = ['setpriv', '--reuid', String(nobody), '--regid', String(nobody), '--clear-groups', '--'];
    const ran = await lab.run(['send', '--json'], { wrapper });
    await othersCommitted(lab, ran.expect(3).json(sendDocument), /b\.img/);
  });
});

function chownTree(folder: string, user: number): void {
  const { status } = spawnSync('chown', ['-R', String(user), folder]);
  assert.equal(status, 0);
}

test('L9 running qubes are captured from the file that they write to, and the head says so', { skip }, async (t) => {
  const random = new Random('running');
  const lab = new BackupSystem(t, {
    pools: [
      { name: 'main', type: 'reflink', path: btrfs.folder(), volumes: ['*/private.img'], more: 'state = "running"' },
    ],
  });
  const dirty = join(lab.pools[0]!.path, 'work/private-dirty.img');
  lab.write('work/private.img', random.bytes(500 * KIB));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  const states: string[] = [];
  const step = async (path: string) => {
    const sent = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(
      [only(sent.volumes, 'work/private.img').kind, only(sent.volumes, 'work/private.img').compared],
      ['incremental', false],
    );
    lab.keepOne('work/private.img', sent.session!, path);
    states.push((await lab.list()).volumes[0]!.sessions.at(-1)!.state);
  };
  spawnSync('cp', ['--reflink=always', lab.path('work/private.img'), dirty]);
  writeAt(dirty, 100 * KIB, random.bytes(3000));
  await lab.monitor();
  writeAt(dirty, 300 * KIB, random.bytes(3000));
  await step(dirty);
  truncateSync(dirty, 700 * KIB);
  await step(dirty);
  renameSync(dirty, lab.path('work/private.img'));
  writeAt(lab.path('work/private.img'), 0, random.bytes(10));
  await step(lab.path('work/private.img'));
  assert.deepEqual(states, ['running', 'running', 'stopped']);
  await lab.compareAll();
});
