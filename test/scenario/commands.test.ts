// Every command when what it needs is missing, wrong or in the way: the exit status, the message, and that nothing is
// lost (G2, G5, G6, G8, A7).

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { loopFsSkip, mountLoopFs } from '../fixtures/loop-fs.ts';
import { Random } from '../fixtures/random.ts';
import {
  endedDocument,
  errorDocument,
  initDocument,
  listDocument,
  restoreDocument,
  sendDocument,
  slotsDocument,
  verifyDocument,
} from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { LINK } from './link.ts';
import { AGENT, run, type Ran } from './program.ts';

const plain = ground('plain');
const KIB = 1024;
const MIB = 1024 * KIB;

async function sentOnce(
  t: TestContext,
  volumes: Readonly<Record<string, Uint8Array>>,
  ...init: string[]
): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  for (const [name, content] of Object.entries(volumes)) lab.write(name, content);
  await lab.init('--chunk-size', '64K', ...init);
  await lab.send('--full');
  return lab;
}

/** One document on stdout, also where the command failed; the same message on stderr, with the next step. */
function assertExplained(ran: Ran, status: number, message: RegExp): { readonly code: string } {
  ran.expect(status);
  const { error } = ran.json(endedDocument);
  assert.match(error.message, message);
  assert.ok(/^sparsebak: /m.test(ran.stderr) && ran.stderr.includes(error.message.slice(0, 60)), ran.stderr);
  assert.ok(!ran.stderr.includes('    at '), 'no stack');
  return error;
}

/** The same of a send's only volume: its failure is its own, and a row of the report. */
function assertRowExplained(ran: Ran, status: number, message: RegExp): void {
  const { volumes } = ran.expect(status).json(sendDocument);
  assert.equal(volumes.length, 1);
  assert.equal(volumes[0]?.kind, 'failed');
  assert.match(volumes[0].error?.message ?? '', message);
}

describe('help', () => {
  const commands = [
    '',
    'init',
    'monitor',
    'send',
    'list',
    'status',
    'restore',
    'verify',
    'prune',
    'tag',
    'rename',
    'delete',
    'adopt',
    'key',
    'key list',
    'key add',
    'key change',
    'key remove',
    'key unlock',
  ];
  test('of every command is on stdout and exit 0, needs no configuration, and has an example', async () => {
    for (const command of commands) {
      const ran = (await run([...command.split(' ').filter(Boolean), '--help'], { cwd: '/' })).expect(0);
      assert.match(ran.stdout, /Usage: sparsebak/);
      assert.equal(ran.stderr, '');
    }
    const listed = (await run(['--help'])).stdout;
    for (const command of commands.slice(1, 14)) assert.match(listed, new RegExp(`^ +${command}\\b`, 'm'));
    assert.match((await run(['--version'])).expect(0).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('is what a wrong command line points to, with exit 2', async () => {
    const wrong = [
      ['frobnicate'],
      ['send', '--nothing'],
      ['restore'],
      ['key'],
      ['key', 'none'],
      ['init', '--encryption', 'maybe'],
      ['init', '--chunk-size', 'large'],
      ['--lock-wait', 'soon', 'send'],
      ['send', '--lock-wait=-1'],
      ['verify', '--sample', '0'],
      ['verify', '--sample', '101'],
      ['--log-level', 'loud', '--config', '/dev/null', 'list'],
    ];
    for (const args of wrong) {
      const ran = (await run(args)).expect(2);
      assert.equal(ran.stdout, '', args.join(' '));
      assert.match(ran.stderr, /^sparsebak: .+\n {2}→ /m, args.join(' '));
      (await run([...args, '--json'])).expect(2).json(errorDocument);
    }
  });
});

describe('without what it needs', () => {
  test('a configuration that is missing or wrong is exit 2 and named', async (t) => {
    const lab = new BackupSystem(t, { pools: [] });
    assertExplained(
      await run(['--config', '/nowhere/x.toml', '--json', 'list']),
      2,
      /there is no configuration at \/nowhere\/x\.toml/,
    );
    lab.configure('initial = "x"\nvolumes = 5');
    assertExplained(await lab.run(['list', '--json']), 2, /initial[^]*volumes/);
    lab.configure('[');
    assertExplained(await lab.run(['list', '--json']), 2, /not TOML/);
  });

  test('an archive that is not known here is exit 2, whatever the command', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    lab.write('a.img', Buffer.from('a'));
    for (const args of [
      ['send'],
      ['list'],
      ['restore', 'a.img', '--to', 'x'],
      ['verify'],
      ['key', 'list'],
      ['send', '--dry-run'],
    ]) {
      assertExplained(await lab.run(['--json', ...args]), 2, /this computer does not know archive "laptop"/);
    }
    assertExplained(await lab.run(['--archive', 'other', '--json', 'list']), 2, /no archive "other"/);
    (await lab.run(['monitor'])).expect(0);
  });

  test('an unknown volume or session is told from one that is lost', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 1) });
    const to = join(lab.folder, 'x');
    const unknown = 'S_19990101-000000';
    for (const args of [
      ['restore', 'b.img', '--to', to],
      ['restore', 'b.img', '--as', 'c.img'],
      ['verify', 'b.img'],
      ['list', 'b.img'],
      ['send', 'b.img'],
      ['monitor', 'b.img'],
      ['prune', 'b.img', '--keep-last', '1', '--yes'],
      ['tag', 'b.img', '--session', unknown, '--add', 'x'],
      ['rename', 'b.img', 'c.img'],
      ['delete', 'b.img', '--yes'],
    ]) {
      const { code } = assertExplained(await lab.run(['--json', ...args]), 1, /volume "b\.img"/);
      assert.equal(code, 'not-found', args.join(' '));
    }
    assertExplained(
      await lab.run(['--json', 'restore', 'a.img', '--to', to, '--session', 'yesterday']),
      2,
      /"yesterday" is not the name of a session/,
    );
    assertExplained(
      await lab.run(['--json', 'restore', 'a.img', '--to', to, '--session', 'S_19990101-000000']),
      1,
      /no session S_19990101/,
    );
    assertExplained(await lab.run(['--json', 'restore', 'a.img']), 2, /no place to restore to/);
    assertExplained(
      await lab.run(['--json', 'verify', '--session', 'S_19990101-000000', '--all-sessions']),
      2,
      /exclude/,
    );
    assert.equal(existsSync(to), false);
    const archive = join(lab.root, 'laptop');
    const volume = join(archive, 'volumes', readdirSync(join(archive, 'volumes'))[0]!);
    const [session] = readdirSync(volume).filter((name) => name.startsWith('S_'));
    renameSync(join(volume, session!), join(lab.folder, 'taken'));
    assertExplained(await lab.run(['--json', 'restore', 'a.img', '--to', to]), 4, new RegExp(session!));
    assertRowExplained(await lab.run(['--json', 'send']), 4, /newest session/);
    renameSync(join(lab.folder, 'taken'), join(volume, session!));
    assert.equal((await lab.send()).session, null);
  });

  test('A7 an archive that is gone, another, or of another format is refused', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 1) });
    const other = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 2) });
    const folder = join(lab.root, 'laptop');
    const aside = join(lab.folder, 'aside');
    renameSync(folder, aside);
    assertExplained(await lab.run(['--json', 'send']), 4, /laptop/);
    renameSync(join(other.root, 'laptop'), folder);
    assertExplained(await lab.run(['--json', 'send']), 4, /another archive/);
    rmSync(folder, { recursive: true });
    renameSync(aside, folder);
    const description = join(folder, 'archive.json');
    const text = readFileSync(description, 'utf8');
    lab.write('a.img', Buffer.alloc(100 * KIB, 3));
    for (const field of ['minReader', 'minWriter']) {
      writeFileSync(description, JSON.stringify({ ...(JSON.parse(text) as object), [field]: 2, format: 2 }));
      const message = /newer|release|version|format/;
      const ran = await lab.run(['--json', 'send']);
      // What may be read and not written fails where the first volume begins.
      if (field === 'minReader') assertExplained(ran, 5, message);
      else assertRowExplained(ran, 5, message);
    }
    writeFileSync(description, text);
    // A damaged catalogue is said, and what this computer knows is shown.
    writeFileSync(join(folder, 'catalogue'), 'x');
    const listed = (await lab.run(['--json', 'list'])).expect(4);
    assert.equal(listed.json(listDocument).volumes.length, 1);
    assert.match(listed.stderr, /^sparsebak: the archive's catalogue is damaged or missing/m);
  });

  test('a receiver that is not installed is exit 5', async (t) => {
    // Of one that is not in its qube qubes/link.test.ts has more to say.
    if (LINK === 'qubes') return;
    const lab = await sentOnce(t, { 'a.img': Buffer.from('a') });
    const alone = join(lab.folder, 'alone');
    mkdirSync(alone);
    const agent = join(alone, 'sparsebak.js');
    copyFileSync(AGENT, agent);
    writeFileSync(join(alone, 'package.json'), '{"type":"module"}');
    assertExplained(await lab.run(['--json', 'list'], { agent }), 5, /sparsebak-receiver\.js is not beside/);
    // A receiver that does not start, one that is something else, and one that only dies.
    const receivers: Record<string, RegExp> = {
      'process.stderr.write("no such disk\\u001b[2J"); process.exitCode = 3;':
        /exit status 3; it said: no such disk\\u\{1b\}/,
      'console.log("hello ".repeat(20000));': /magic|hello/,
      'process.kill(process.pid, "SIGKILL");': /SIGKILL/,
    };
    for (const [code, message] of Object.entries(receivers)) {
      writeFileSync(join(alone, 'sparsebak-receiver.js'), code);
      assertExplained(await lab.run(['--json', 'list'], { agent }), 5, message);
    }
    lab.configure('', `local:${lab.folder}/unmounted`);
    assert.ok([1, 5].includes((await lab.run(['list'])).status ?? 0));
  });
});

describe('init', () => {
  test('I9 that was refused or cut off can simply be repeated; one that another has the name of cannot', async (t) => {
    const lab = new BackupSystem(t, { pools: [] });
    const passphrase = join(lab.folder, 'passphrase');
    const key = join(lab.folder, 'recovery-key');
    const init = ['init', '--json', '--passphrase-file', passphrase, '--recovery-key-file', key];
    const { root } = lab;
    lab.useRoot(join(root, 'nowhere'));
    lab.configure();
    assert.notEqual((await lab.run(init)).status, 0);
    lab.configure('', 'ssh://host.invalid/x');
    (await lab.run(init)).expect(5);
    assert.equal(existsSync(key), false, 'no key of an archive that never was');
    lab.useRoot(root);
    lab.configure();
    for (const [from, what] of [
      ['agent', 'create'],
      ['receiver', 'done to create'],
    ] as const) {
      (await lab.run(init, lab.interposed({ from, what, action: 'kill-agent' }))).expectKilled();
      if (from === 'agent') assertExplained(await lab.run(['--json', 'list']), 2, /did not finish/);
    }
    assertExplained(await lab.run([...init, '--encryption', 'off']), 2, /other options/);
    writeFileSync(join(lab.folder, 'other'), 'another');
    assertExplained(
      await lab.run(['init', '--json', '--passphrase-file', join(lab.folder, 'other')]),
      2,
      /other passphrase/,
    );
    assertExplained(
      await lab.run(['init', '--json', '--recovery-key-file', join(lab.folder, 'y')]),
      2,
      /other secrets/,
    );
    const document = (await lab.run(init)).expect(0).json(initDocument);
    assert.equal(document.recoveryKey, undefined);
    assertExplained(await lab.run(init), 1, /exists already/);
    lab.configure(
      `state_dir = ${JSON.stringify(join(lab.folder, 'second'))}`.replace('state_dir', 'reread_per_day = 0\n#'),
    );
    // The key that was written by the first try opens what the last one finished.
    const second = new BackupSystem(t, { pools: [], root: lab.root });
    (await second.run(['key', 'unlock', '--recovery-key-file', key])).expect(0);
    const third = new BackupSystem(t, { pools: [], root: lab.root });
    assertExplained(await third.run(['init', '--json', '--passphrase-file', passphrase]), 1, /./);
    assert.equal(existsSync(join(third.stateDir, 'archives/laptop/settings.json')), false);
  });

  test('I9 shows a recovery key that a cut-off one could not', async (t) => {
    const lab = new BackupSystem(t, { pools: [] });
    const init = ['init', '--json', '--passphrase-file', join(lab.folder, 'passphrase')];
    (
      await lab.run(init, lab.interposed({ from: 'receiver', what: 'done to create', action: 'kill-agent' }))
    ).expectKilled();
    const { recoveryKey } = (await lab.run(init)).expect(0).json(initDocument);
    assert.ok(recoveryKey !== undefined);
    const reader = new BackupSystem(t, { pools: [], root: lab.root });
    const file = join(reader.folder, 'key');
    writeFileSync(file, recoveryKey.toLowerCase());
    (await reader.run(['key', 'unlock', '--recovery-key-file', file])).expect(0);
    const left = readdirSync(join(lab.stateDir, 'archives/laptop'));
    assert.ok(!left.includes('creating'), 'and forgets it');
  });

  test('takes each choice, and refuses what is none before anything is made', async (t) => {
    const lab = new BackupSystem(t, { pools: [] });
    const passphrase = ['--passphrase-file', join(lab.folder, 'passphrase')];
    writeFileSync(join(lab.folder, 'empty'), '\n');
    const wrong: string[][] = [
      [...passphrase, '--compression', 'lzma'],
      [...passphrase, '--compression', 'zstd:20'],
      [...passphrase, '--compression', 'gzip:0'],
      [...passphrase, '--compression', 'none:1'],
      [...passphrase, '--chunk-size', '32K'],
      [...passphrase, '--chunk-size', '8M'],
      [...passphrase, '--chunk-size', '100K'],
      [...passphrase, '--passphrase-command', 'echo x'],
      [...passphrase, '--recovery-key-file', join(lab.folder, 'passphrase')],
      ['--passphrase-file', '/nowhere'],
      ['--passphrase-file', join(lab.folder, 'empty')],
      ['--passphrase-command', 'exit 3'],
      ['--passphrase-command', 'true'],
      [],
    ];
    for (const options of wrong) assertExplained(await lab.run(['--json', 'init', ...options]), 2, /./);
    assert.deepEqual(readdirSync(lab.root), []);
    assert.equal(readFileSync(join(lab.folder, 'passphrase'), 'utf8'), 'correct horse\n');
    const made = await lab.ask(initDocument, [
      'init',
      '--passphrase-command',
      'printf "p w\\n"',
      '--encryption',
      'off',
      '--chunk-size',
      '1MiB',
      '--dedup',
      'on',
    ]);
    assert.deepEqual([made.encrypted, made.chunkSize, made.dedup], [false, MIB, true]);
    assert.equal(statSync(lab.stateDir).mode & 0o777, 0o700);
    assert.equal(statSync(join(lab.stateDir, 'archives/laptop/record')).mode & 0o777, 0o600);
  });
});

describe('secrets', () => {
  test('G5 a wrong passphrase and a damaged slot tell themselves apart', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.from('a') });
    const reader = new BackupSystem(t, { pools: [], root: lab.root });
    const unlock = (file: string) => reader.run(['--json', 'key', 'unlock', '--passphrase-file', file]);
    const wrong = join(reader.folder, 'wrong');
    writeFileSync(wrong, 'incorrect horse');
    assertExplained(await unlock(wrong), 1, /passphrase/);
    assert.equal(existsSync(join(reader.stateDir, 'archives/laptop')), false);
    const slot = join(lab.root, 'laptop/keys/passphrase');
    const bytes = readFileSync(slot);
    for (const at of [20, bytes.length - 30]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      writeFileSync(slot, damaged);
      assertExplained(await unlock(join(reader.folder, 'passphrase')), 4, /slot "passphrase" is damaged/);
      assert.ok((await lab.ask(slotsDocument, ['key', 'list'])).slots.length === 2);
    }
    rmSync(slot);
    assertExplained(await unlock(join(reader.folder, 'passphrase')), 2, /no slot for a passphrase/);
    writeFileSync(slot, bytes);
    (await unlock(join(reader.folder, 'passphrase'))).expect(0);
  });

  test('I6 of volumes and their names are in nothing that the receiver has, nor in a log', async (t) => {
    const secret = Buffer.from('a very secret text that nobody else may see');
    const lab = await sentOnce(t, { 'secret-project.img': Buffer.alloc(200 * KIB, secret) }, '--compression', 'none');
    lab.write('secret-project.img', Buffer.alloc(150 * KIB, secret));
    const logged = (await lab.run(['send', '--log-level', 'debug'])).expect(0);
    assert.ok(!logged.stderr.includes('secret text'));
    let files = 0;
    for (const path of filesBelow(lab.root)) {
      files++;
      const bytes = readFileSync(path);
      for (const text of [secret, 'secret-project'])
        assert.ok(!bytes.includes(text) && !path.includes('secret-project'), path);
    }
    assert.ok(files > 8);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}

test('a folder to start in that is gone leaves all that needs no path of it', async (t) => {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', Buffer.from('a'));
  const from = (...args: string[]) => {
    const gone = ['sh', '-c', `mkdir gone && cd gone && rmdir ../gone && exec "$@"`, 'sh'];
    return lab.run(['--json', ...args], { wrapper: gone });
  };
  (await from('init', '--passphrase-file', join(lab.folder, 'passphrase'))).expect(0);
  (await from('send', '--full')).expect(0);
  assertExplained(await from('restore', 'a.img', '--to', 'a.img'), 2, /is gone, so a\.img leads nowhere/);
  (await from('restore', 'a.img', '--to', join(lab.folder, 'out'))).expect(0);
  assert.equal(readFileSync(join(lab.folder, 'out'), 'utf8'), 'a');
  assert.equal(existsSync('/a.img'), false);
});

describe('restore', () => {
  test(
    'G6 takes no target that exists, is too small, mounted, full or no place, and leaves nothing',
    { skip: loopFsSkip('ext4') },
    async (t) => {
      const random = new Random('restore targets');
      const content = random.bytes(3 * MIB + 17);
      const lab = await sentOnce(t, { 'a.img': content });
      const restore = (to: string, ...more: string[]) => lab.run(['--json', 'restore', 'a.img', '--to', to, ...more]);
      const there = join(lab.folder, 'there');
      writeFileSync(there, 'precious');
      assertExplained(await restore(there), 1, /exists already/);
      assert.equal(readFileSync(there, 'utf8'), 'precious');
      (await restore(there, '--force')).expect(0).json(restoreDocument);
      assert.ok(readFileSync(there).equals(content));
      assertExplained(await restore(join(lab.folder, 'no/where')), 1, /there is no folder/);
      assertExplained(await restore(lab.folder, '--force'), 1, /is a folder/);
      assertExplained(await restore('-'), 2, /standard output/);
      assertExplained(await restore(join(lab.stateDir, 'a.img')), 2, /is in sparsebak's state folder/);
      if (LINK === 'local') {
        assertExplained(await restore(join(lab.root, 'laptop/volumes/a.img')), 2, /is in the archive "laptop"/);
      }

      const device = (size: number): string => {
        const image = join(lab.folder, `image-${String(size)}`);
        writeFileSync(image, random.bytes(4096));
        truncateSync(image, size);
        const { stdout } = spawnSync('losetup', ['--find', '--show', image], { encoding: 'utf8' });
        t.after(() => {
          spawnSync('losetup', ['--detach', stdout.trim()]);
        });
        return stdout.trim();
      };
      assertExplained(await restore(device(3 * MIB), '--force'), 1, /has 3145728 bytes, the volume 3145745/);
      const right = device(4 * MIB);
      assertExplained(await restore(right), 1, /exists already/);
      (await restore(right, '--force')).expect(0);
      spawnSync('sync', ['--file-system', lab.folder]);
      const fd = spawnSync('head', ['-c', String(content.length), right], { maxBuffer: 8 * MIB });
      assert.ok(fd.stdout.equals(content));

      const fs = await mountLoopFs({ type: 'ext4', size: 3 * MIB });
      try {
        assertExplained(await restore(fs.device, '--force'), 1, /in use/);
        assertExplained(await restore(join(fs.dir, 'a.img')), 1, /does not fit/);
        assert.deepEqual(readdirSync(fs.dir), ['lost+found']);
      } finally {
        await fs.unmount();
      }
      const filled = await mountLoopFs({ type: 'ext4', size: 8 * MIB });
      try {
        const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
        const hold = { from: 'agent', what: 'get-chunks', action: 'hold', reached, go } as const;
        const args = ['--json', 'restore', 'a.img', '--to', join(filled.dir, 'a.img')];
        const running = lab.start(args, lab.interposed(hold));
        while (!existsSync(reached)) await delay(20);
        spawnSync('dd', ['if=/dev/zero', `of=${join(filled.dir, 'fill')}`, 'bs=64K']);
        writeFileSync(go, '');
        assertExplained(await running.ended, 1, /a\.img: no space is left on the file system/);
        assert.deepEqual(readdirSync(filled.dir).sort(), ['fill', 'lost+found']);
      } finally {
        await filled.unmount();
      }
    },
  );

  test('A2 A13 of a damaged archive is exit 4, and the target is not there', async (t) => {
    const random = new Random('damaged archive');
    const lab = await sentOnce(t, { 'a.img': random.bytes(MIB), 'b.img': random.bytes(MIB) });
    const chunks = filesBelow(lab.root)
      .filter((path) => /\/[0-9a-f]{16}$/.test(path))
      .sort();
    rmSync(chunks[3]!);
    truncateSync(chunks[5]!, statSync(chunks[5]!).size - 1);
    const to = join(lab.folder, 'x');
    const results = [];
    for (const name of ['a.img', 'b.img']) results.push(await lab.run(['--json', 'restore', name, '--to', to + name]));
    const bad = results.filter(({ status }) => status !== 0);
    assert.ok(bad.length >= 1);
    for (const ran of bad) assertExplained(ran, 4, /cannot be restored/);
    const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
    assert.equal(
      verified.sessions.reduce((sum, { badChunks }) => sum + badChunks, 0),
      2,
    );
    assert.deepEqual(
      readdirSync(lab.folder).filter((name) => name.includes('partial')),
      [],
    );
    (await lab.run(['--json', 'verify', '--sample', '50'])).json(verifyDocument);
  });
});

describe('a disk that is full', () => {
  test(
    'S1 I2 at the destination: exit 5, earlier sessions restore, and once it is larger the next send works',
    { skip: loopFsSkip('btrfs') },
    async (t) => {
      const random = new Random('full destination');
      const fs = await mountLoopFs({ type: 'btrfs', size: 300 * MIB });
      try {
        const lab = new BackupSystem(t, {
          pools: [{ name: 'main', type: 'file', path: plain.folder() }],
          root: fs.dir,
        });
        lab.write('a.img', random.bytes(4 * MIB));
        await lab.init();
        await lab.send('--full');
        lab.write('a.img', random.bytes(200 * MIB));
        assertExplained(await lab.run(['--json', 'send']), 5, /space/);
        await lab.compareAll();
        assert.deepEqual(tmpFolders(join(fs.dir, 'laptop')), []);
        truncateSync(fs.image, 1000 * MIB);
        for (const [program, ...args] of [
          ['losetup', '--set-capacity', fs.device],
          ['btrfs', 'filesystem', 'resize', 'max', fs.dir],
        ] as const) {
          assert.equal(
            spawnSync(program, args, { env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/sbin:/usr/sbin` } })
              .status,
            0,
            program,
          );
        }
        const sent = await lab.send();
        assert.equal(only(sent.volumes, 'a.img').kind, 'incremental');
        await lab.compareAll();
      } finally {
        await fs.unmount();
      }
    },
  );

  test(
    'G2 at dom0’s state: the send fails with the reason, and works once there is space',
    { skip: loopFsSkip('ext4') },
    async (t) => {
      const fs = await mountLoopFs({ type: 'ext4', size: 4 * MIB, mkfsArgs: ['-m', '0'] });
      try {
        const lab = new BackupSystem(t, {
          pools: [{ name: 'main', type: 'file', path: plain.folder() }],
          stateDir: join(fs.dir, 'state'),
        });
        lab.write('a.img', Buffer.alloc(MIB, 1));
        await lab.init();
        await lab.send('--full');
        lab.write('a.img', Buffer.alloc(MIB, 2));
        const filler = join(fs.dir, 'filler');
        spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1k']);
        const ran = await lab.run(['--json', 'send']);
        assert.ok([1, 3].includes(ran.status ?? 0), ran.describe());
        assert.match(ran.stdout, /ENOSPC|no space/);
        rmSync(filler);
        lab.keep((await lab.run(['--json', 'send'])).expect(0).json(sendDocument));
        await lab.compareAll();
      } finally {
        await fs.unmount();
      }
    },
  );
});

function tmpFolders(archive: string): string[] {
  return readdirSync(archive, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('.tmp'));
}

describe('output', () => {
  test('G8 into a pipe that nobody reads is no failure of the command', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 1) });
    writeAt(lab.path('a.img'), 0, Buffer.from('x'));
    for (const args of [['send'], ['list'], ['list', '--json'], ['--help']]) {
      const { child, ended } = lab.start(args);
      child.stdout!.destroy();
      (await ended).expect(0);
    }
    assert.equal((await lab.list()).volumes[0]?.sessions.length, 2);
  });

  test('G8 to a closed descriptor or a full disk does not stop a send', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 1) });
    for (const [count, to] of ['>&-', '>/dev/full', '2>&-', '<&-'].entries()) {
      writeAt(lab.path('a.img'), 0, Buffer.from(`x${String(count)}`));
      const child = spawn(
        'sh',
        [
          '-c',
          `exec "$0" --disallow-code-generation-from-strings "$@" ${to}`,
          process.execPath,
          AGENT,
          '--config',
          lab.config,
          'send',
        ],
        { stdio: 'ignore', env: { ...process.env, ...lab.env } },
      );
      await once(child, 'exit');
      assert.equal((await lab.list()).volumes[0]?.sessions.length, 2 + count, to);
      (await lab.run(['send'])).expect(0);
    }
  });

  test('--json stands before or after the command, and is alone on stdout', async (t) => {
    const lab = await sentOnce(t, { 'a.img': Buffer.alloc(100 * KIB, 1) });
    const to = join(lab.folder, 'x');
    for (const args of [
      ['list'],
      ['verify'],
      ['monitor'],
      ['send'],
      ['key', 'list'],
      ['restore', 'a.img', '--to', to],
    ]) {
      for (const command of [
        ['--json', ...args],
        [...args, '--json'],
      ]) {
        rmSync(to, { force: true });
        const ran = (await lab.run([...command, '--log-level', 'debug'])).expect(0);
        assert.equal(typeof JSON.parse(ran.stdout), 'object');
      }
    }
  });
});
