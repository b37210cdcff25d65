// The install scripts, on a root of their own and with programs that stand in for the system's.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { QubesSystem } from '../fixtures/qubes/system.ts';
import { SERVICES, configureVault, loadReceiver } from '../fixtures/qubes/vault.ts';
import { makeScratch, scratchFor } from '../fixtures/scratch.ts';
import { Peer } from '../vm-receiver/peer.ts';

const top = join(import.meta.dirname, '../..');
const client = fileURLToPath(import.meta.resolve('../fixtures/qubes/qrexec-client.ts'));
const SHELLS = ['dash', 'bash'].filter((shell) => existsSync(join('/bin', shell)));
const { username } = userInfo();

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const NODE_FOLDERS = ['usr/bin', 'usr/local/bin'];

class Machine {
  readonly root: string;
  readonly #bin: string;
  readonly #shell: string;
  /** Where the scripts lie: the project, or a copy of what they need of it. */
  source = top;

  constructor(t: TestContext, shell = 'sh') {
    const folder = scratchFor(t);
    this.root = join(folder, 'root');
    this.#bin = join(folder, 'bin');
    this.#shell = shell;
    mkdirSync(join(this.root, 'etc/qubes/policy.d'), { recursive: true });
    mkdirSync(this.#bin);
    for (const name of ['qrexec-client', 'qvm-start']) this.program(name, 'exit 0');
    symlinkSync(process.execPath, join(this.#bin, 'node'));
    // A qube's services find programs in places of their own.
    for (const folder of NODE_FOLDERS) {
      mkdirSync(join(this.root, folder), { recursive: true });
      symlinkSync(process.execPath, join(this.root, folder, 'node'));
    }
  }

  /** A program of the machine; undefined: it has none. */
  program(name: string, script: string | undefined, folder = this.#bin): void {
    const path = join(folder, name);
    rmSync(path, { force: true });
    if (script === undefined) return;
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }

  /** Only the programs of ours, and what the scripts themselves use. */
  bare(): void {
    for (const name of ['cat', 'chmod', 'cmp', 'cp', 'cut', 'dirname', 'find', 'flock', 'grep', 'id', 'ln', 'mkdir']) {
      this.#link(name);
    }
    for (const name of ['mktemp', 'mv', 'readlink', 'rm', 'rmdir', 'sed', 'sha256sum', 'sort', 'stat', 'sync', 'sh']) {
      this.#link(name);
    }
  }

  #link(name: string): void {
    const { stdout } = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' });
    rmSync(join(this.#bin, name), { force: true });
    symlinkSync(stdout.trim(), join(this.#bin, name));
  }

  run(script: 'dom0' | 'vm', args: readonly string[], path = `${this.#bin}:${process.env.PATH ?? ''}`): Ran {
    const file = join(this.source, `qubes-rpc/install/${script}.sh`);
    const env = { ...process.env, PATH: path };
    return spawnSync(this.#shell, [file, '--root', this.root, ...args], { encoding: 'utf8', env, input: '' });
  }

  dom0(...args: string[]): Ran {
    return this.run('dom0', args);
  }

  vm(...args: string[]): Ran {
    return this.run('vm', ['--user', username, ...args]);
  }

  get bin(): string {
    return this.#bin;
  }

  /** Every file and link below the root but for node, with what is in it. */
  files(): Record<string, string> {
    const all = readdirSync(this.root, { recursive: true, encoding: 'utf8' }).sort();
    const entries = all.filter((name) => !NODE_FOLDERS.some((folder) => name === join(folder, 'node')));
    return Object.fromEntries(
      entries.flatMap((name) => {
        const path = join(this.root, name);
        const stat = lstatSync(path);
        if (stat.isSymbolicLink()) return [[name, `-> ${readlinkSync(path)}`]];
        return stat.isFile() ? [[name, `${(stat.mode & 0o777).toString(8)} ${readFileSync(path, 'latin1')}`]] : [];
      }),
    );
  }

  names(): string[] {
    return Object.keys(this.files());
  }
}

function expect(ran: Ran, status: number): Ran {
  assert.equal(ran.status, status, `${ran.stdout}\n${ran.stderr}`);
  return ran;
}

const DOM0 = [
  'etc/qubes/policy.d/30-sparsebak.policy',
  'etc/udev/rules.d/12-sparsebak.rules',
  'usr/local/bin/sparsebak',
  'usr/local/lib/sparsebak/installed',
  'usr/local/lib/sparsebak/sparsebak.js',
];

for (const shell of SHELLS) {
  describe(`dom0.sh in ${shell}`, () => {
    test('shows what it will do, does that and nothing before, and undoes it', (t) => {
      const machine = new Machine(t, shell);
      writeFileSync(join(machine.root, 'etc/qubes/policy.d/30-user.policy'), '# mine\n');
      const before = machine.files();
      const shown = expect(machine.dom0('--dry-run'), 0).stdout;
      for (const file of DOM0.filter((each) => !each.endsWith('installed'))) {
        assert.ok(shown.includes(`  new ${machine.root}/${file}`), file);
      }
      assert.match(expect(machine.dom0(), 2).stderr, /Nothing was done: give --yes/);
      assert.deepEqual(machine.files(), before);
      expect(machine.dom0('--yes'), 0);
      assert.deepEqual(machine.names(), ['etc/qubes/policy.d/30-user.policy', ...DOM0].sort());
      const version = spawnSync(join(machine.root, 'usr/local/bin/sparsebak'), ['--version'], {
        encoding: 'utf8',
        env: { PATH: `${machine.bin}:/usr/bin:/bin` },
      });
      assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
      const installed = machine.files();
      assert.match(expect(machine.dom0('--yes'), 0).stdout, /nothing: everything is installed/);
      assert.match(expect(machine.dom0('--uninstall'), 2).stderr, /Nothing was done/);
      assert.match(expect(machine.dom0('--uninstall', '--dry-run'), 0).stdout, / {2}remove .*sparsebak\.js/);
      assert.deepEqual(machine.files(), installed);
      // What Node makes there when the program is started.
      mkdirSync(join(machine.root, 'var/cache/sparsebak/v22'), { recursive: true });
      writeFileSync(join(machine.root, 'var/cache/sparsebak/v22/compiled'), '');
      assert.match(expect(machine.dom0('--uninstall', '--yes'), 0).stdout, /Not removed: \/etc\/sparsebak/);
      assert.deepEqual(machine.files(), before);
      assert.match(expect(machine.dom0('--uninstall', '--yes'), 1).stderr, /nothing was installed/);
    });

    test('neither replaces nor removes what is not its own', (t) => {
      const machine = new Machine(t, shell);
      const program = join(machine.root, 'usr/local/bin/sparsebak');
      mkdirSync(join(machine.root, 'usr/local/bin'), { recursive: true });
      writeFileSync(program, 'another program of that name\n');
      const before = machine.files();
      assert.match(expect(machine.dom0('--yes'), 1).stderr, /problem: \/usr\/local\/bin\/sparsebak already exists/);
      assert.deepEqual(machine.files(), before);
      rmSync(program);
      expect(machine.dom0('--yes'), 0);
      const policy = join(machine.root, 'etc/qubes/policy.d/30-sparsebak.policy');
      appendFileSync(policy, '# changed by hand\n');
      const changed = machine.files();
      expect(machine.dom0('--yes'), 1);
      assert.deepEqual(machine.files(), changed);
      assert.match(
        expect(machine.dom0('--uninstall', '--yes'), 0).stdout,
        /keep .*30-sparsebak\.policy .*changed since/,
      );
      assert.deepEqual(machine.names(), ['etc/qubes/policy.d/30-sparsebak.policy']);
      expect(machine.dom0('--yes', '--force'), 0);
      assert.deepEqual(machine.names(), DOM0);
      assert.doesNotMatch(readFileSync(policy, 'utf8'), /by hand/);
      chmodSync(join(machine.root, 'usr/local/lib/sparsebak/sparsebak.js'), 0o600);
      assert.match(expect(machine.dom0('--yes'), 1).stderr, /sparsebak\.js already exists/);
    });
  });
}

describe('dom0.sh', () => {
  test('brings what is there to a later release, also when it is cut off on the way', (t) => {
    const machine = new Machine(t);
    machine.source = join(machine.root, '../release');
    for (const part of ['qubes-rpc', 'dist/sparsebak.js'])
      cpSync(join(top, part), join(machine.source, part), { recursive: true });
    expect(machine.dom0('--yes'), 0);
    const first = machine.files();
    appendFileSync(join(machine.source, 'dist/sparsebak.js'), '// later\n');
    appendFileSync(join(machine.source, 'qubes-rpc/policy.d/30-sparsebak.policy'), '# later\n');
    // It is cut off at each file that it moves into place, in turn.
    for (let moves = 0; ; moves++) {
      const count = join(machine.bin, 'moves');
      writeFileSync(count, '');
      machine.program(
        'mv',
        `[ "$(wc -l <${count})" -lt ${String(moves)} ] || exit 1\necho >>${count}\nexec /bin/mv "$@"`,
      );
      const cut = machine.dom0('--yes');
      machine.program('mv', undefined);
      if (cut.status === 0) {
        assert.ok(moves >= 4, String(moves));
        break;
      }
      if (moves % 2 === 1) {
        expect(machine.dom0('--uninstall', '--yes'), 0);
        assert.deepEqual(machine.names(), [], `taken away after ${String(moves)}`);
      }
      expect(machine.dom0('--yes'), 0);
      assert.match(machine.files()['usr/local/lib/sparsebak/sparsebak.js'] ?? '', /\/\/ later\n$/);
      assert.deepEqual(machine.names(), DOM0);
      // Back to the first one, for the next turn.
      expect(machine.dom0('--uninstall', '--yes'), 0);
      machine.source = top;
      expect(machine.dom0('--yes'), 0);
      assert.deepEqual(machine.files(), first);
      machine.source = join(machine.root, '../release');
    }
  });

  test('names all that is missing, and does nothing then', (t) => {
    const machine = new Machine(t);
    machine.bare();
    machine.program('node', undefined);
    machine.program('qrexec-client', undefined);
    rmSync(join(machine.root, 'etc'), { recursive: true });
    const { stderr } = expect(machine.run('dom0', ['--yes'], machine.bin), 1);
    for (const what of [/no qrexec-client/, /no node/, /no .*policy\.d: is this dom0/]) assert.match(stderr, what);
    assert.deepEqual(machine.names(), []);
    const old = new Machine(t);
    for (const [version, taken] of [
      ['18.19.0', false],
      ['22.14.9', false],
      ['22.15.0', true],
      ['24.0.0', true],
    ] as const) {
      old.program('node', `[ "$1" != -p ] || echo ${version}`);
      const ran = old.dom0('--dry-run');
      assert.equal(ran.status, taken ? 0 : 1, version);
      if (!taken) assert.match(ran.stderr, new RegExp(`node is ${version}, and sparsebak needs 22\\.15`));
    }
    old.program('node', '[ "$1" = -p ] && echo 24.0.0');
    assert.match(expect(old.dom0('--dry-run'), 1).stderr, /does not run/);
  });

  test('asks qubes-policy-lint, and warns of what makes every call fail', (t) => {
    const machine = new Machine(t);
    machine.program('qubes-policy-lint', 'echo "line 3: bad" >&2; exit 1');
    assert.match(expect(machine.dom0('--yes'), 1).stderr, /line 3: bad[^]*reports errors/);
    const asked = join(machine.bin, 'asked');
    machine.program('qubes-policy-lint', `cat "$1" >${asked}`);
    writeFileSync(join(machine.root, 'etc/qubes/policy.d/40-Mine.policy'), '');
    assert.match(expect(machine.dom0('--yes'), 0).stderr, /warning: .*40-Mine\.policy/);
    assert.match(readFileSync(asked, 'utf8'), /^sparsebak\.Receive/m);
  });

  test('says how it is used where it is used wrongly', (t) => {
    const machine = new Machine(t);
    for (const args of [['--what'], ['more'], ['--root', 'relative'], ['--root']]) {
      assert.equal(machine.dom0(...args).status, 2, args.join(' '));
    }
    assert.match(expect(machine.dom0('--help'), 0).stdout, /^usage: dom0\.sh/);
    assert.deepEqual(machine.names(), []);
  });
});

const PLACES = {
  appvm: { local: 'usr/local', etc: 'usr/local/etc', config: 'rw/config/sparsebak/receiver.toml' },
  standalone: { local: 'usr/local', etc: 'usr/local/etc', config: 'etc/sparsebak/receiver.toml' },
  template: { local: 'usr', etc: 'etc', config: 'etc/sparsebak/receiver.toml' },
} as const;

describe('vm.sh', () => {
  for (const [type, { local, etc, config }] of Object.entries(PLACES)) {
    test(`puts everything where it lasts: ${type}`, (t) => {
      for (const shell of type === 'appvm' ? SHELLS : ['sh']) {
        const machine = new Machine(t, shell);
        const before = machine.files();
        const options = ['--type', type, '--archives', "/mnt/it's & a | disk"];
        assert.match(expect(machine.vm(...options, '--dry-run'), 0).stdout, new RegExp(`  new .*/${config} `));
        assert.deepEqual(machine.files(), before);
        expect(machine.vm(...options, '--yes'), 0);
        const expected = [
          ...SERVICES.flatMap((service) => [`${etc}/qubes-rpc/${service}`, `${etc}/qubes/rpc-config/${service}`]),
          ...['bin/sparsebak-receiver', 'lib/sparsebak/installed', 'lib/sparsebak/sparsebak-receiver.js'].map(
            (file) => `${local}/${file}`,
          ),
          config,
        ];
        assert.deepEqual(machine.names(), expected.sort());
        assert.match(machine.files()[config] ?? '', /^root = "\/mnt\/it's & a \| disk"$/m);
        const service = `${etc}/qubes/rpc-config/sparsebak.Receive`;
        assert.match(machine.files()[service] ?? '', new RegExp(`^force-user='${username}'$`, 'm'));
        for (const each of SERVICES) {
          assert.equal(statSync(join(machine.root, etc, 'qubes-rpc', each)).mode & 0o777, 0o755);
        }
        assert.match(expect(machine.vm(...options, '--yes'), 0).stdout, /nothing: everything is installed/);
        expect(machine.vm('--type', type, '--uninstall', '--yes'), 0);
        assert.deepEqual(machine.names(), [config], 'the configuration is the user’s');
      }
    });
  }

  test('finds out what kind of qube it is in, and refuses a disposable', (t) => {
    const machine = new Machine(t);
    const qube = (persistence: string, type: string) => {
      machine.program(
        'qubesdb-read',
        `case $1 in /qubes-vm-persistence) echo ${persistence} ;; *) echo ${type} ;; esac`,
      );
      return machine.vm('--dry-run');
    };
    assert.match(expect(qube('rw-only', 'AppVM'), 0).stdout, /in this qube \(appvm\)/);
    assert.match(expect(qube('full', 'TemplateVM'), 0).stdout, /\(template\)/);
    assert.match(expect(qube('full', 'StandaloneVM'), 0).stdout, /\(standalone\)/);
    assert.match(expect(qube('none', 'DispVM'), 1).stderr, /disposable: everything that is installed here is lost/);
    machine.program('qubesdb-read', 'exit 1');
    assert.match(expect(machine.vm('--dry-run'), 2).stderr, /--type/);
  });

  test('refuses what is wrong, and names what is missing', (t) => {
    const machine = new Machine(t);
    const wrong = [
      ['--type', 'hvm'],
      ['--type', 'appvm', '--user', "x'; rm -rf /"],
      ['--type', 'appvm', '--archives', 'relative'],
      ['--type', 'appvm', '--archives', '/a"b'],
      ['--type', 'appvm', '--archives', '/a\nb'],
      ['--type', 'appvm', '--archives', '/a\u001b[2J'],
      ['--type', 'appvm', '--archives', '/a/../b'],
      ['--type', 'appvm', '--archives', '/'],
      ['--type'],
    ];
    for (const args of wrong) assert.equal(machine.vm(...args, '--yes').status, 2, args.join(' '));
    const { stderr } = expect(machine.vm('--type', 'appvm', '--user', 'nobody-of-that-name', '--yes'), 1);
    assert.match(stderr, /no user nobody-of-that-name/);
    machine.program('node', '[ "$1" != -p ] || echo 18.20.0', join(machine.root, 'usr/local/bin'));
    const old = expect(machine.vm('--type', 'appvm', '--yes'), 1).stderr;
    assert.match(old, /node is 18\.20\.0, and sparsebak needs 20\.0 or newer/, 'the one that the services would find');
    assert.deepEqual(machine.names(), []);
  });

  test('keeps the configuration that is there', (t) => {
    const machine = new Machine(t);
    const { config } = PLACES.appvm;
    mkdirSync(join(machine.root, 'rw/config/sparsebak'), { recursive: true });
    writeFileSync(join(machine.root, config), 'root = "/mine"\n');
    const { stdout } = expect(machine.vm('--type', 'appvm', '--archives', '/other', '--yes'), 0);
    assert.match(stdout, /receiver\.toml, so --archives was not used/);
    assert.equal(readFileSync(join(machine.root, config), 'utf8'), 'root = "/mine"\n');
  });
});

describe('what vm.sh installed', () => {
  for (const type of ['appvm', 'template'] as const) {
    test(`answers dom0: ${type}`, async (t) => {
      const system = new QubesSystem(makeScratch('qubes'));
      t.after(() => system.end());
      const places = system.addVm('vault');
      const { root } = places;
      // As in every distribution of today.
      for (const folder of ['bin', 'lib']) {
        mkdirSync(join(root, 'usr', folder), { recursive: true });
        symlinkSync(`usr/${folder}`, join(root, folder));
      }
      const script = join(top, 'qubes-rpc/install/vm.sh');
      const args = [script, '--root', root, '--type', type, '--user', username, '--yes'];
      const { status, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const archives = join(root, 'backup');
      mkdirSync(archives);
      configureVault(places, archives);
      loadReceiver(places, join(root, PLACES[type].local));
      await system.start('vault');
      for (const service of SERVICES) {
        const command = `DEFAULT:QUBESRPC ${service}+laptop dom0`;
        const peer = new Peer({ program: client, args: [system.folder, '-d', 'vault', command] });
        assert.equal((await peer.greet())?.t, 'hello', service);
        assert.equal((await peer.bye()).code, 0);
      }
    });
  }

  test('makes a configuration that the receiver takes', (t) => {
    const machine = new Machine(t);
    expect(machine.vm('--type', 'appvm', '--archives', '/mnt/backup', '--yes'), 0);
    const config = join(machine.root, PLACES.appvm.config);
    const receiver = join(machine.root, 'usr/local/lib/sparsebak/sparsebak-receiver.js');
    const { status, stderr } = spawnSync(process.execPath, [receiver, '--config', config, 'list'], {
      encoding: 'utf8',
    });
    assert.match(stderr, /backup folder is not there/);
    assert.equal(status, 5);
  });
});
