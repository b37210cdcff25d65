// The files of each package. A folder ends with a slash.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const DOC = '/usr/share/doc/NAME';
const UNITS = '/usr/lib/systemd/system';

/** In each package of programs. */
export const COMMON = [
  '/etc/sparsebak/',
  '/usr/lib/sparsebak/',
  `${UNITS}-preset/80-sparsebak.preset`,
  `${UNITS}/sparsebak-failed@.service`,
  `${DOC}/`,
  `${DOC}/examples/`,
  `${DOC}/cli.md`,
  `${DOC}/damage.md`,
  `${DOC}/packages.md`,
  `${DOC}/packages.txt`,
];

/** Commands of the agent that are files of their own. */
const FAMILIES = readdirSync(join(import.meta.dirname, '../../dom0-agent/families')).map((name) => `sparsebak-${name}`);

const AGENT = [
  '/usr/bin/sparsebak',
  '/usr/lib/sparsebak/sparsebak.js',
  ...FAMILIES.map((name) => `/usr/lib/sparsebak/${name}.cjs`),
  '/usr/lib/udev/rules.d/12-sparsebak.rules',
  `${UNITS}/sparsebak-failed@.service.d/`,
  `${UNITS}/sparsebak-failed@.service.d/notice.conf`,
  ...['monitor', 'send', 'verify'].flatMap((name) => [
    `${UNITS}/sparsebak-${name}.service`,
    `${UNITS}/sparsebak-${name}.timer`,
  ]),
];

const RECEIVER = [
  '/usr/bin/sparsebak-receiver',
  '/usr/lib/sparsebak/sparsebak-receiver.js',
  `${UNITS}/sparsebak-scrub.service`,
  `${UNITS}/sparsebak-scrub.timer`,
];

/** Names in a package's own folder of documentation. */
const documents = (name: string, files: readonly string[]) => files.map((file) => `/usr/share/doc/${name}/${file}`);

const licence = (name: string) => [`/usr/share/licenses/${name}/`, `/usr/share/licenses/${name}/LICENSE`];
const debian = (name: string) => documents(name, ['changelog.gz', 'copyright']);

interface Manifest {
  readonly paths: readonly string[];
  readonly rpm: readonly string[];
  /** Undefined: there is no such package. */
  readonly deb?: readonly string[];
}

export const ONLY: Record<string, Manifest> = {
  sparsebak: {
    paths: [
      ...AGENT,
      ...RECEIVER,
      ...documents('sparsebak', [
        'examples/receiver.toml',
        'examples/sparsebak.toml',
        'install-linux.md',
        'restore-by-hand.md',
        'threat-model.md',
      ]),
    ],
    rpm: licence('sparsebak'),
    deb: debian('sparsebak'),
  },
  'sparsebak-dom0': {
    paths: [
      ...AGENT,
      '/etc/qubes/policy.d/30-sparsebak.policy',
      ...documents('sparsebak-dom0', [
        'examples/sparsebak.toml',
        'install-qubes.md',
        'qubes.md',
        'restore-by-hand.md',
        'threat-model.md',
      ]),
    ],
    rpm: licence('sparsebak-dom0'),
  },
  'sparsebak-vm': {
    paths: [
      ...RECEIVER,
      ...['Maintain', 'Receive', 'Retrieve'].flatMap((name) => [
        `/etc/qubes-rpc/sparsebak.${name}`,
        `/etc/qubes/rpc-config/sparsebak.${name}`,
      ]),
      `${UNITS}/sparsebak-scrub.service.d/`,
      `${UNITS}/sparsebak-scrub.service.d/qubes.conf`,
      ...documents('sparsebak-vm', ['examples/receiver.toml', 'install-qubes.md']),
    ],
    rpm: licence('sparsebak-vm'),
    deb: debian('sparsebak-vm'),
  },
};

/** As ls shows it. */
export function modeOf(path: string): string {
  if (path.endsWith('/')) return 'drwxr-xr-x';
  const isProgram = /^\/usr\/bin\/|^\/etc\/qubes-rpc\/|^\/usr\/lib\/sparsebak\/.*\.js$/.test(path);
  return isProgram ? '-rwxr-xr-x' : '-rw-r--r--';
}

/** Manual pages and completion of a program, where the shells and man look for them. */
export function helpFilesOf(program: string, format: 'rpm' | 'deb'): string[] {
  return [
    `/usr/share/man/man1/${program}.1.gz`,
    `/usr/share/bash-completion/completions/${program}`,
    `/usr/share/fish/vendor_completions.d/${program}.fish`,
    `/usr/share/zsh/${format === 'rpm' ? 'site-functions' : 'vendor-completions'}/_${program}`,
  ];
}
