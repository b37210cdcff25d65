/** Node, the programs that the configuration needs, and the policy of Qubes. */
import { readFileSync } from 'node:fs';
import { isInPath } from '../../../shared/search-path.ts';
import type { Config } from '../../config/config.ts';
import { RELEASE } from '../../../shared/release.ts';
import { systemCode } from '../../../shared/errors.ts';
import { failed, note, ok, type Finding } from '../../../shared/findings.ts';

/** The same as engines of the agent: 22.15 is the first Node with zstd. */
const OLDEST_NODE = [22, 15] as const;

/** Programs by what needs them, each with its package on Debian and Fedora. */
const PROGRAMS: Readonly<Record<string, string>> = {
  flock: 'util-linux',
  findmnt: 'util-linux',
  filefrag: 'e2fsprogs',
  chattr: 'e2fsprogs',
  lvs: 'lvm2',
  lvcreate: 'lvm2',
  dmsetup: 'dmsetup (Debian), device-mapper (Fedora)',
  thin_delta: 'thin-provisioning-tools (Debian), device-mapper-persistent-data (Fedora)',
  tar: 'tar',
  ssh: 'openssh-client (Debian), openssh-clients (Fedora)',
  'qvm-start': 'qubes-core-admin-client',
  'qrexec-client': 'qubes-core-qrexec',
  'qvm-run': 'qubes-core-admin-client',
  'notify-send': 'libnotify-bin (Debian), libnotify (Fedora)',
};

export function checkHost(config: Config | undefined): Finding[] {
  const policy = config === undefined || !usesQubes(config) ? [] : [checkPolicy()];
  return [checkNode(process.versions.node), checkPrograms(config), ...policy];
}

/** @param version such as 22.15.0 */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  const message = `${version} (${process.execPath}), sparsebak ${RELEASE}`;
  return isNew
    ? ok('node', message)
    : failed('node', `${message} is older than ${OLDEST_NODE.join('.')}`, 'Install a newer Node, or sparsebak-node.');
}

function checkPrograms(config: Config | undefined): Finding {
  const wanted = new Set(config === undefined ? ['flock'] : neededBy(config));
  const missing = [...wanted].filter((program) => !isInPath(program));
  if (missing.length === 0) return ok('programs', [...wanted].join(', '));
  const packages = [...new Set(missing.map((program) => PROGRAMS[program] ?? program))];
  return failed('programs', `not in the PATH: ${missing.join(', ')}`, `Install: ${packages.join('; ')}.`);
}

function neededBy(config: Config): string[] {
  const types = new Set(config.pools.map(({ type }) => type));
  const destinations = new Set(config.archives.map(({ destination }) => destination.kind));
  return [
    'flock',
    ...(types.has('reflink') ? ['findmnt', 'filefrag', 'chattr'] : []),
    ...(types.has('lvm-thin') ? ['lvs', 'lvcreate', 'dmsetup', 'thin_delta'] : []),
    ...(config.qubes === undefined ? [] : ['findmnt', 'filefrag', 'chattr']),
    ...(config.qubes !== undefined && config.qubes.dom0Home !== false ? ['tar'] : []),
    ...(destinations.has('ssh') ? ['ssh'] : []),
    ...(usesQubes(config) ? ['qvm-start', config.archives[0]?.qubesClient ?? 'qrexec-client'] : []),
    ...(config.notices.desktop ? ['notify-send'] : []),
  ];
}

function usesQubes({ archives }: Config): boolean {
  return archives.some(({ destination }) => destination.kind === 'qubes');
}

const POLICY = '/etc/qubes/policy.d/30-sparsebak.policy';
const SERVICES = ['sparsebak.Receive', 'sparsebak.Retrieve', 'sparsebak.Maintain'];

/** Whether the policy denies each service to qubes. @param path of the file */
export function checkPolicy(path = POLICY): Finding {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const hint = 'Install it from the package sparsebak-dom0, or with qubes-rpc/install/dom0.sh.';
    return systemCode(error) === 'ENOENT'
      ? failed('policy', `there is no ${path}: nothing says that qubes may not call the services`, hint)
      : failed('policy', `${path} cannot be read`, 'Check its permissions.');
  }
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/));
  const malformed = rules.find((rule) => rule.length < 5 || !/^(allow|deny|ask)$/.test(rule[4] ?? ''));
  if (malformed !== undefined) {
    return failed('policy', `${path}: not a rule: ${malformed.join(' ')}`, 'Install the file of this release again.');
  }
  const open = SERVICES.filter((service) => !isDenied(rules, service));
  return open.length === 0
    ? ok('policy', path)
    : note('policy', `${path} does not deny ${open.join(', ')} to qubes`, 'Install the file of this release again.');
}

/** The first rule for a call from any qube decides. */
function isDenied(rules: readonly (readonly string[])[], service: string): boolean {
  const first = rules.find(([name, , source]) => (name === service || name === '*') && source === '@anyvm');
  return first?.[4] === 'deny';
}
