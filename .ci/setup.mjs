// Prepares a fresh clone for a task: installs packages and the programs that tests call, builds the bundles, then runs
// the task on the development Node. Needs only Node 20, since it runs before anything is installed; if everything is in
// place it only compares a few dates. With SPARSEBAK_NO_APT set it shows what it would have installed, and installs no
// programs.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const developmentNode = join(root, 'node_modules/.bin/node');

/** @type {Record<string, { script: string, bundles: boolean, programs: boolean, about: string }>} */
const tasks = {
  test: {
    script: '.ci/test.mjs',
    bundles: true,
    programs: true,
    about: 'the tests of a tier (--tier=short, guest, long), or those of the given paths',
  },
  check: {
    script: '.ci/check.mjs',
    bundles: false,
    programs: false,
    about: 'types, lint, format, import rules, unused',
  },
  bench: { script: 'test/bench/main.ts', bundles: true, programs: true, about: 'the benchmarks' },
  demo: { script: 'test/demo/main.ts', bundles: true, programs: true, about: 'a backup and a restore to look at' },
  package: { script: '.ci/package.mjs', bundles: true, programs: false, about: 'the packages, in dist/packages' },
};

/** Each program that tests start, its Debian package, and what is skipped without it. */
const programs = [
  { program: 'mkfs.xfs', package: 'xfsprogs', without: 'tests on XFS' },
  { program: 'mkfs.btrfs', package: 'btrfs-progs', without: 'tests on Btrfs' },
  { program: 'mkfs.ext4', package: 'e2fsprogs', without: 'tests on ext4' },
  { program: 'filefrag', package: 'e2fsprogs', without: 'tests of reflink sources' },
  { program: 'losetup', package: 'util-linux', without: 'tests on file systems of their own' },
  { program: 'mount', package: 'mount', without: 'tests on file systems of their own' },
  { program: 'flock', package: 'util-linux', without: 'tests of the receiver' },
  { program: 'sshd', package: 'openssh-server', without: 'tests of the ssh link' },
  { program: 'ssh', package: 'openssh-client', without: 'tests of the ssh link' },
  { program: 'zstd', package: 'zstd', without: 'restoring a zstd archive by hand' },
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86', without: 'tests in a guest' },
  { program: 'lvm', package: 'lvm2', without: 'tests of LVM thin pools' },
  { program: 'dmsetup', package: 'dmsetup', without: 'tests of LVM thin pools' },
  { program: 'thin_delta', package: 'thin-provisioning-tools', without: 'tests of LVM thin pools' },
  { program: 'strace', package: 'strace', without: 'tests that watch system calls' },
  { program: 'mandoc', package: 'mandoc', without: 'tests of the man pages' },
  { program: 'groff', package: 'groff-base', without: 'tests of the man pages' },
  { program: 'zsh', package: 'zsh', without: 'tests of completion in zsh' },
  { program: 'fish', package: 'fish', without: 'tests of completion in fish' },
  { program: 'chromium', package: 'chromium', without: 'tests of the report in a browser' },
  { program: 'faketime', package: 'faketime', without: 'tests with a clock that is wrong' },
];

/** What makes packages, and what tests them beyond that. */
const forPackages = [
  { program: 'rpmbuild', package: 'rpm', without: 'RPMs' },
  { program: 'dpkg-deb', package: 'dpkg', without: 'Debian packages' },
  { program: 'xz', package: 'xz-utils', without: 'Debian packages and the tarball' },
];
const testsOfPackages = [
  { program: 'lintian', package: 'lintian', without: 'the check of Debian packages' },
  { program: 'rpmlint', package: 'rpmlint', without: 'the check of RPMs' },
  { program: 'gpg', package: 'gnupg', without: 'tests of signed packages' },
  { program: 'systemd-analyze', package: 'systemd', without: 'tests of systemd units' },
];

/** What `npm run bench -- --peers` compares with; Wyng's script is given by the user. */
const peers = [
  { program: 'borg', package: 'borgbackup', without: 'borg' },
  { program: 'restic', package: 'restic', without: 'restic' },
];
const forWyng = [
  { program: 'python3', package: 'python3', without: 'Wyng' },
  { module: 'Cryptodome', package: 'python3-pycryptodome', without: "Wyng's encryption" },
  { module: 'zstd', package: 'python3-zstd', without: "Wyng's compression with zstd" },
];

/** @param {string} message */
const say = (message) => console.error(`setup: ${message}`);

/** @param {string} path */
const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The newest date in a tree; a folder's own date shows removed files. @param {string} path @returns {number} */
function newestIn(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.mtimeMs ?? 0;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))));
}

/** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [extra] */
function succeeds(command, args, extra = {}) {
  // The task's own output may be read by a program, so everything that setup starts writes to standard error.
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...extra } });
  if (result.error) say(`${command}: ${result.error.message}`);
  return result.status === 0;
}

function installPackages() {
  const installed = changedAt(join(root, 'node_modules/.package-lock.json'));
  if (existsSync(developmentNode) && installed >= changedAt(join(root, 'package-lock.json'))) return;
  say('npm ci');
  if (!succeeds('npm', ['ci', '--loglevel=error'])) throw new Error('npm ci failed: see above');
  if (!existsSync(developmentNode)) {
    throw new Error(
      'npm ci left no node_modules/.bin/node: the install script of the package "node" must be allowed to run',
    );
  }
}

/** @param {string} program */
function isInstalled(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

/** @typedef {{ package: string, without: string, program?: string, module?: string }} Wanted */

/** @param {Wanted} wanted a program, or a module of the system's Python */
function isPresent({ program, module }) {
  if (program !== undefined) return isInstalled(program);
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  return spawnSync(python, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0;
}

/** @param {Wanted[]} wanted */
function installPrograms(wanted) {
  let missing = wanted.filter((each) => !isPresent(each));
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((each) => each.package))];
  const mayInstall = process.getuid?.() === 0 && (process.env.SPARSEBAK_NO_APT ?? '') === '';
  if (mayInstall && existsSync('/etc/debian_version') && isInstalled('apt-get')) {
    say(`apt-get install ${names.join(' ')}`);
    const quietly = { DEBIAN_FRONTEND: 'noninteractive' };
    succeeds('apt-get', ['-qq', 'update'], quietly);
    const install = ['-qq', '-o', 'Dpkg::Use-Pty=0', 'install', '-y', '--no-install-recommends'];
    succeeds('apt-get', [...install, ...names], quietly);
    missing = wanted.filter((each) => !isPresent(each));
  }
  for (const { program, module, package: name, without } of missing) {
    say(`no ${program ?? `Python module ${module}`} here (package ${name}): ${without} will be skipped`);
  }
}

/** @returns {boolean} whether the bundles in dist are those of the sources */
function buildBundles() {
  // The families too: a build that was interrupted has made some.
  const families = readdirSync(join(root, 'dom0-agent/families')).map((name) => `dist/sparsebak-${name}.cjs`);
  const bundles = ['dist/sparsebak.js', 'dist/sparsebak-receiver.js', ...families].map((name) => join(root, name));
  const code = [
    'shared',
    'dom0-agent',
    'vm-receiver',
    '.ci/build.mjs',
    '.ci/left-out.mjs',
    '.ci/programs.mjs',
    '.ci/manual',
  ];
  const sources = [...code, 'docs/cli.md', 'package-lock.json', 'package.json'];
  const newest = Math.max(...sources.map((name) => newestIn(join(root, name))));
  if (bundles.every((bundle) => changedAt(bundle) > newest)) return true;
  say('build');
  if (succeeds(developmentNode, ['.ci/build.mjs'])) return true;
  for (const bundle of bundles) rmSync(bundle, { force: true });
  say('the build failed, and dist/ has no bundles now: tests that start one will fail');
  return false;
}

/** @param {string} script @param {string[]} args @returns {Promise<number>} */
async function runTask(script, args) {
  const env = {
    ...process.env,
    // A plain "node" that a task starts is the development Node, too.
    PATH: `${dirname(developmentNode)}:${process.env.PATH ?? ''}`,
    // The bundles leave out msgpackr's native loader, so tests of the sources must not use it either.
    MSGPACKR_NATIVE_ACCELERATION_DISABLED: 'true',
  };
  const child = spawn(developmentNode, [join(root, script), ...args], { cwd: root, stdio: 'inherit', env });
  // A terminal's interrupt also reaches the task, which decides when to end.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}

const [name = '', ...args] = process.argv.slice(2);
const task = tasks[name];
if (task === undefined) {
  console.error('usage: node .ci/setup.mjs TASK [ARGUMENT…]');
  for (const [each, { about }] of Object.entries(tasks)) console.error(`  ${each.padEnd(7)} ${about}`);
  process.exit(2);
}
try {
  installPackages();
  if (task.programs) {
    const isPeers = name === 'bench' && args.includes('--peers');
    const isWyng = isPeers && args.some((arg) => /^--wyng(=|$)/.test(arg));
    const packaging = name === 'test' ? [...forPackages, ...testsOfPackages] : [];
    installPrograms([...programs, ...packaging, ...(isPeers ? peers : []), ...(isWyng ? forWyng : [])]);
  }
  if (name === 'package') installPrograms(forPackages);
  const built = !task.bundles || buildBundles();
  if (!existsSync(join(root, task.script))) throw new Error(`${task.script} does not exist`);
  const code = await runTask(task.script, args);
  process.exitCode = built ? code : Math.max(code, 1);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
