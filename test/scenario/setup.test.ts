// setup: from nothing to a proven restore, by answers or by options; and the configurations it and the example give.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Qubesd } from '../fixtures/qubesd/qubesd.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { BackupSystem } from './backup-system.ts';
import { ground } from './mounts.ts';
import { onTerminal, terminalSkip } from './on-terminal.ts';
import { AGENT, run, start } from './program.ts';

const notRoot = process.getuid?.() === 0 ? false : 'needs root';

interface Place {
  readonly folder: string;
  readonly config: string;
  readonly images: string;
  readonly vault: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A computer with images and a backup disk, and nothing of sparsebak. */
function fresh(t: TestContext): Place {
  const folder = scratchFor(t);
  const [images, vault, bin] = ['images', 'vault', 'bin'].map((name) => join(folder, name)) as [string, string, string];
  for (const each of [images, vault, bin, join(folder, 'scratch')]) mkdirSync(each);
  writeFileSync(join(images, 'web server.img'), Buffer.alloc(700_000, 5));
  writeFileSync(join(images, 'mail.img'), Buffer.alloc(200_000, 6));
  writeFileSync(join(folder, 'passphrase'), 'correct horse\n');
  // A stand-in for systemctl(1): systemd does not run here.
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\necho "$@" >> ${folder}/systemctl\n`, { mode: 0o755 });
  const env = { PATH: `${bin}:${process.env.PATH ?? ''}` };
  return { folder, config: join(folder, 'etc/sparsebak.toml'), images, vault, env };
}

/** setup knows no option for the state's folder: whoever wants another one writes the configuration. */
function withState({ folder, config }: Place): void {
  writeFileSync(config, `state_dir = ${JSON.stringify(join(folder, 'state'))}\n${readFileSync(config, 'utf8')}`);
}

const given = ({ folder, images, vault }: Place) => [
  ...['--destination', `local:${vault}`, '--pool', `file:${images}`, '--scratch', join(folder, 'scratch')],
  ...['--passphrase-file', join(folder, 'passphrase'), '--recovery-key-file', join(folder, 'recovery')],
];

describe('setup', () => {
  it('shows the configuration without a terminal, and writes nothing on a dry run', async (t) => {
    const place = fresh(t);
    const ran = await run(['--config', place.config, 'setup', '--dry-run', ...given(place)]);
    assert.match(ran.expect(0).stdout, /type {4}= "file"/);
    assert.ok(!existsSync(place.config));
  });

  it('with a configuration that is there: init, first send, a proven restore that is removed, timers', async (t) => {
    const place = fresh(t);
    const { folder, config, env } = place;
    const dry = (await run(['--config', config, 'setup', '--dry-run', ...given(place)])).expect(0).stdout;
    mkdirSync(join(folder, 'etc'));
    writeFileSync(
      config,
      dry
        .split('\n')
        .filter((line) => line.startsWith('    '))
        .join('\n')
        .replaceAll(/^ {4}/gm, ''),
    );
    withState(place);
    const args = ['--config', config, 'setup', '--yes', '--timers', 'yes', ...given(place)];
    const first = (await run(args, { env })).expect(0);
    assert.match(
      first.stdout,
      /\$ sparsebak --config \S+ init [^]*\$ sparsebak .* send --full[^]*\$ sparsebak .* restore mail\.img/,
    );
    assert.match(first.stdout, /The restore of mail\.img \(.*\) is proven/);
    assert.deepEqual(readdirSync(join(folder, 'scratch')), []);
    assert.match(readFileSync(join(folder, 'systemctl'), 'utf8'), /^enable --now sparsebak-monitor\.timer /);
    const key = readFileSync(join(folder, 'recovery'), 'utf8');

    // Once more: what was done is not done again.
    const second = (await run(args, { env })).expect(0);
    assert.doesNotMatch(second.stdout, /sparsebak .* (init|restore) /);
    assert.equal(readFileSync(join(folder, 'recovery'), 'utf8'), key);
    (await run(['--config', config, 'verify'], { env })).expect(0);
  });

  it('goes on where it stopped', async (t) => {
    const place = fresh(t);
    const { folder, config, vault, env } = place;
    mkdirSync(join(folder, 'etc'));
    const text = `destination = "local:${vault}"\narchive = "a"\ninitial = "full"\n[pool.p]\ntype = "file"\npath = "${place.images}"\nvolumes = ["*"]\n`;
    writeFileSync(config, text);
    withState(place);
    rmSync(vault, { recursive: true });
    const args = ['--config', config, 'setup', '--yes', ...given(place)];
    const stopped = (
      await run(
        ['--config', config, 'setup', '--yes', '--scratch', folder, '--recovery-key-file', join(folder, 'recovery')],
        { env },
      )
    ).expect(1);
    assert.match(stopped.stderr, /setup stops here: init ended with status 5\n {2}→ /);
    mkdirSync(vault);
    assert.match((await run(args, { env })).expect(0).stdout, /is proven/);
  });

  it('ends its command with it, removes what a killed one left, and names options that a configuration makes idle', async (t) => {
    const place = fresh(t);
    const { folder, config, images, vault, env } = place;
    mkdirSync(join(folder, 'etc'));
    const pool = `[pool.p]\ntype = "file"\npath = "${images}"\nvolumes = ["*"]\n`;
    const text = `destination = "local:${vault}"\narchive = "a"\ninitial = "full"\n${pool}`;
    writeFileSync(config, `${text}[hooks]\nbefore_send = ["/bin/sh", "-c", "> ${folder}/begun; sleep 100"]\n`);
    withState(place);
    const args = ['--config', config, 'setup', '--yes', ...given(place)];
    const running = start(args, { env });
    while (!existsSync(join(folder, 'begun'))) await sleep(50);
    const began = performance.now();
    running.child.kill('SIGTERM');
    (await running.ended).expect(130);
    assert.ok(performance.now() - began < 60_000, 'send ran on');

    const gone = spawnSync('true').pid;
    const [stale, foreign] = [`sparsebak-restored-${gone}-abcdef`, `sparsebak-restored-${process.pid}-abcdef`];
    for (const name of [stale, foreign]) mkdirSync(join(folder, 'scratch', name));
    writeFileSync(config, text);
    withState(place);
    writeFileSync(join(images, 'a\u001b[2J'), 'small');
    const ran = (await run(args, { env })).expect(0);
    assert.match(ran.stderr, /--destination, --pool: not used, since it exists/);
    assert.match(ran.stdout, /The restore of a\\u\{1b\}\[2J /);
    assert.ok(!ran.stdout.includes('\u001b'), 'the name of a file steers the terminal');
    assert.deepEqual(readdirSync(join(folder, 'scratch')), [foreign]);
  });

  it('init that is killed before it could show the recovery key shows it when run again', async (t) => {
    const place = fresh(t);
    const { folder, config, images, vault, env } = place;
    mkdirSync(join(folder, 'etc'));
    writeFileSync(
      config,
      `destination = "local:${vault}"\narchive = "a"\n[pool.p]\ntype = "file"\npath = "${images}"\n`,
    );
    withState(place);
    // Its standard output is a pipe that is full, and that nobody reads.
    assert.equal(spawnSync('mkfifo', [join(folder, 'out')]).status, 0);
    const pipe = openSync(join(folder, 'out'), 'r+');
    t.after(() => {
      closeSync(pipe);
    });
    const args = ['--config', config, 'init', '--passphrase-file', join(folder, 'passphrase')];
    const filled = spawnSync('timeout', ['1', 'cat', '/dev/zero'], { stdio: ['ignore', pipe, 'inherit'] });
    assert.equal(filled.status, 124);
    const child = spawn(process.execPath, [AGENT, ...args], { stdio: ['ignore', pipe, 'inherit'] });
    while (!existsSync(join(vault, 'a/catalogue'))) await sleep(50);
    await sleep(1500);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.match((await run(args, { env })).expect(0).stdout, /Recovery key: /);
    (await run(args, { env })).expect(1);
  });

  it('tells a user who may not write the configuration before it asks anything', { skip: notRoot }, async () => {
    const wrapper = ['setpriv', '--reuid=12345', '--regid=12345', '--clear-groups', '--'];
    const ran = await run(['--config', '/etc/sparsebak-test/c.toml', 'setup', '--yes'], { wrapper, cwd: '/' });
    assert.match(ran.expect(2).stderr, /this user may not write \/etc\/sparsebak-test\/c\.toml\n {2}→ Run it as root/);
  });

  it('goes through a backup qube as well, and doctor misses nothing but the policy', async (t) => {
    const images = scratchFor(t);
    const pools = [{ name: 'main', type: 'file', path: images, more: '' }] as const;
    const lab = new BackupSystem(t, { pools, link: 'qubes', more: 'initial = "full"' });
    lab.write('work/private.img', Buffer.alloc(400_000, 3));
    const files = ['--passphrase-file', join(lab.folder, 'passphrase'), '--recovery-key-file', join(lab.folder, 'key')];
    const { stdout } = (await lab.run(['setup', '--yes', '--scratch', lab.folder, ...files])).expect(0);
    assert.match(stdout, /The restore of work\/private\.img \(.*\) is proven/);
    const doctor = JSON.parse((await lab.run(['doctor', '--json'])).expect(3).stdout) as {
      findings: { check: string; verdict: string }[];
    };
    const wrong = doctor.findings.filter(({ verdict }) => verdict === 'failed' || verdict === 'overdue');
    assert.deepEqual(
      wrong.map(({ check }) => check),
      ['policy'],
    );
  });

  it('says which answer is missing or wrong, and writes nothing', async (t) => {
    const place = fresh(t);
    const attempt = async (...args: string[]) =>
      (await run(['--config', place.config, 'setup', ...args])).expect(2).stderr;
    assert.match(await attempt('--yes'), /--destination is missing\n {2}→ /);
    assert.match(await attempt('--yes', '--destination', 'local:/nowhere/at/all'), /there is no folder \/nowhere/);
    assert.match(await attempt('--yes', '--destination', 'ftp://x'), /not supported\n {2}→ /);
    const destination = ['--destination', `local:${place.vault}`];
    assert.match(await attempt('--yes', ...destination, '--pool', 'zfs:tank'), /"zfs:tank" is not a pool\n {2}→ /);
    assert.match(await attempt(...given(place), '--timers', 'maybe'), /answer yes or no/);
    assert.match(await attempt(...given(place)), /Write this configuration\? There is no terminal/);
    assert.match(await attempt('--json', ...given(place)), /setup has no --json/);
    assert.ok(!existsSync(place.config));
  });

  it(
    'asks on a terminal, again after a wrong answer, and writes a file that only its owner reads',
    { skip: terminalSkip },
    async (t) => {
      const place = fresh(t);
      const { status, shown } = await onTerminal(
        place,
        ['setup', '--pool', `file:${place.images}`, '--dry-run'],
        [
          { after: 'Where does the backup go?', type: 'local:/nowhere\r' },
          { after: 'there is no folder', type: `local:${place.vault}\r` },
          { after: 'A name for the archive', type: 'Bad Name\r' },
          { after: 'is not a name', type: 'mine\r' },
          { after: 'Which volumes of', type: 'web* mail.img\r' },
        ],
      );
      assert.equal(status, 0, shown);
      assert.match(shown, /archive {5}= "mine"/);
      assert.match(shown, /volumes = \["web\*", "mail\.img"\]/);
      const declined = await onTerminal(
        place,
        ['setup', ...given(place)],
        [
          { after: 'A name for the archive', type: '\r' },
          { after: 'Which volumes of', type: '\r' },
          { after: 'Write this configuration?', type: 'n\r' },
        ],
      );
      assert.equal(declined.status, 130, declined.shown);
      assert.ok(!existsSync(place.config));
    },
  );
});

const xfs = ground('xfs');

/** Makes it dom0 of Qubes for one command: the release, the user, and where qubesd listens. */
const AS_DOM0 = `set -e
mount -t tmpfs tmpfs "$1"; mkdir "$1/up" "$1/work" "$1/state"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/up,workdir=$1/work" /etc
echo 'Qubes release 4.3 (R4.3)' > /etc/qubes-release
echo 'qubes:x:98:someone' >> /etc/group; echo "someone:x:1000:1000::$3:/bin/sh" >> /etc/passwd
mkdir -p /var/lib/sparsebak; mount --bind "$1/state" /var/lib/sparsebak
mount -t tmpfs tmpfs /run; ln -s "$2" /run/qubesd.sock
shift 3; exec "$@"
`;

describe('setup in dom0 of Qubes', { skip: notRoot === false ? xfs.skip : notRoot }, () => {
  it('asks for qubes instead of pools, and proves one of them', async (t) => {
    const place = fresh(t);
    const pools = [{ name: 'vm-pool', driver: 'file-reflink', path: xfs.folder() }] as const;
    const qubesd = await Qubesd.start({ pools, test: t });
    const [script, own, home] = ['as-dom0', 'own', 'home'].map((name) => join(place.folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(script, AS_DOM0);
    for (const folder of [own, home]) mkdirSync(folder);
    writeFileSync(join(home, 'note'), 'x');
    const wrapper = ['unshare', '--mount', 'sh', script, own, qubesd.socket, home];
    const options = [
      ...['setup', '--yes', '--destination', `local:${place.vault}`, '--scratch', join(place.folder, 'scratch')],
      ...['--passphrase-file', join(place.folder, 'passphrase'), '--recovery-key-file', join(place.folder, 'recovery')],
    ];
    const config = ['--config', place.config];
    const asDom0 = (...args: string[]) => run([...config, ...args], { wrapper, env: place.env, cwd: place.folder });
    assert.match((await asDom0(...options, '--volumes', 'x')).expect(2).stderr, /--volumes is for pools/);
    assert.match((await asDom0(...options, '--qubes', 'a:b')).expect(2).stderr, /"a:b" selects no qube/);
    const { stdout } = (await asDom0(...options, '--qubes', 'w*', '--dom0-home')).expect(0);
    assert.match(stdout, /include {3}= \["w\*"\]\n\s*dom0_home = true/);
    assert.match(stdout, /The restore of w(in|ork):private \(16\.0 MiB\) is proven/);
    assert.match(stdout, /dom0:home +full/);
    // Elsewhere the same options are refused, and so is the section.
    const elsewhere = await run([...config, 'setup', '--yes', '--dry-run', ...given(place), '--qubes', 'work']);
    assert.match(elsewhere.expect(0).stderr, /--qubes: not used/);
    rmSync(place.config);
    const refused = await run([...config, 'setup', '--yes', '--dry-run', ...given(place), '--qubes', 'work']);
    assert.match(refused.expect(2).stderr, /--qubes needs dom0 of Qubes/);
  });
});

describe('config', () => {
  it('example is valid, and names every field', async (t) => {
    const folder = scratchFor(t);
    const example = (await run(['config', 'example'])).expect(0).stdout;
    const file = join(folder, 'sparsebak.toml');
    writeFileSync(file, example);
    assert.match((await run(['config', 'check', '--config', file])).expect(0).stdout, /is valid/);
    // The same with everything switched on that is commented out, as far as it can be together.
    const on = example.replaceAll(/^# (?=(\[|[a-z0-9_]+ *=))/gm, '');
    mkdirSync(join(folder, 'on'));
    writeFileSync(join(folder, 'on/sparsebak.toml'), on);
    writeFileSync(join(folder, 'on/volumes.txt'), 'x.img\n');
    (await run(['config', 'check', '--config', join(folder, 'on/sparsebak.toml')])).expect(0);
    const documented = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
    const table = documented.slice(documented.indexOf('| field | default |'), documented.indexOf('### Which files'));
    for (const [, fields = ''] of table.matchAll(/^\| ((?:`[^`]+`(?:, )?)+) \|/gm)) {
      for (const [, field = ''] of fields.matchAll(/`([^`]+)`/g)) {
        const name = field.split('.').at(-1) ?? '';
        assert.match(on, new RegExp(`^(\\[)?${name}\\b`, 'm'), `the example lacks ${field}`);
      }
    }
  });

  it('check names each wrong field', async (t) => {
    const file = join(scratchFor(t), 'c.toml');
    writeFileSync(
      file,
      '[notify]\non = "never"\ncommand = ["mail"]\n[hooks]\ntime_limit = 0\n[overdue]\nsend = "soon"\n',
    );
    const { stderr } = (await run(['config', 'check', '--config', file])).expect(2);
    for (const field of ['notify.on', 'notify.command', 'hooks.time_limit', 'overdue.send'])
      assert.ok(stderr.includes(field), field);
    assert.equal(statSync(file).size > 0, true);
  });
});
