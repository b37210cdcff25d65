// What each package is for a package manager: its summary, what it needs, and what runs when it comes and goes.

import { programsOf, unitsOf } from './contents.mjs';

/** @typedef {import('./contents.mjs').PackageName} PackageName */

/**
 * @typedef {object} Package
 * @property {PackageName} name
 * @property {string} summary
 * @property {string} description
 * @property {('rpm' | 'deb')[]} formats
 * @property {boolean} native holds code for one kind of processor
 * @property {Record<string, string[]>} rpm its dependencies by tag
 * @property {Record<string, string[]>} deb the same, by field
 */

/**
 * How a package is built.
 * @typedef {object} BuildOptions
 * @property {string} version
 * @property {number} date of all files, in seconds since 1970
 * @property {string} work an empty folder
 * @property {string} out where the package goes
 */

const ABOUT = `sparsebak backs up disk images: the volumes of Qubes OS, or the virtual
machines of any Linux host. It reads and sends only what changed since the
last backup. Backups are encrypted, and only the agent has the key; the
receiver stores them without one.`;

/**
 * A Node that is too old is found when a package is installed, not at the first backup. Fedora's package nodejs has an
 * epoch, so that a plain version would be met by any of its versions: nodejs(engine) has none.
 * @param {string} version
 */
const rpmNode = (version) => `(sparsebak-node or nodejs(engine) >= ${version})`;
/** @param {string} version */
const debNode = (version) => `nodejs (>= ${version}) | sparsebak-node`;

/** @param {PackageName} name @param {PackageName[]} others */
const conflicts = (name, others) => others.filter((other) => other !== name);

/** There is no address yet; package managers want the form of one. */
export const MAINTAINER = 'sparsebak maintainers <maintainers@sparsebak.invalid>';

/** They have files in common. @type {PackageName[]} */
const PROGRAMS = ['sparsebak', 'sparsebak-dom0', 'sparsebak-vm'];

/** @type {Package[]} */
export const packages = [
  {
    name: 'sparsebak',
    summary: 'Disk-image backup that reads and sends only what changed',
    description: `${ABOUT}\nThis package has both programs, for a Linux host.`,
    formats: ['rpm', 'deb'],
    native: false,
    rpm: {
      Requires: [rpmNode('22.15'), 'coreutils', 'util-linux'],
      Recommends: ['e2fsprogs'],
      Suggests: ['lvm2', 'device-mapper-persistent-data', 'openssh-clients'],
      Conflicts: conflicts('sparsebak', PROGRAMS),
    },
    deb: {
      Depends: [debNode('22.15')],
      Recommends: ['e2fsprogs'],
      Suggests: ['lvm2', 'thin-provisioning-tools', 'openssh-client'],
      Conflicts: conflicts('sparsebak', PROGRAMS),
    },
  },
  {
    name: 'sparsebak-dom0',
    summary: 'Disk-image backup for Qubes OS: the agent for dom0',
    description: `${ABOUT}\nThis package has the agent and its qrexec policy, for dom0.`,
    formats: ['rpm'],
    native: false,
    rpm: {
      Requires: [rpmNode('22.15'), 'coreutils', 'e2fsprogs', 'util-linux'],
      Recommends: ['lvm2', 'device-mapper-persistent-data'],
      Conflicts: conflicts('sparsebak-dom0', PROGRAMS),
    },
    deb: {},
  },
  {
    name: 'sparsebak-vm',
    summary: 'Disk-image backup for Qubes OS: the receiver for a backup qube',
    description: `${ABOUT}\nThis package has the receiver and its qrexec services, for the template\nof a backup qube.`,
    formats: ['rpm', 'deb'],
    native: false,
    rpm: {
      Requires: [rpmNode('20'), 'coreutils', 'util-linux'],
      Conflicts: conflicts('sparsebak-vm', PROGRAMS),
    },
    deb: { Depends: [debNode('20')], Conflicts: conflicts('sparsebak-vm', PROGRAMS) },
  },
  {
    name: 'sparsebak-node',
    summary: 'Node.js for sparsebak, where the one of the system is too old',
    description: `Node.js as its project released it, in a folder of its own. The programs of
sparsebak look for it first; nothing else uses it.`,
    formats: ['rpm', 'deb'],
    native: true,
    // rpmbuild reads off the binary what it needs.
    rpm: {},
    // glibc 2.28, and the C++ library of GCC 8.
    deb: { Depends: ['libc6 (>= 2.28)', 'libgcc-s1 (>= 3.0)', 'libstdc++6 (>= 8)'] },
  },
];

/** The timers in a package, and the services that they start. @param {PackageName} name */
export function startedBy(name) {
  const units = programsOf[name].flatMap((program) => unitsOf[program]).map((unit) => `sparsebak-${unit}`);
  return {
    timers: units.filter((unit) => unit.endsWith('.timer')),
    services: units.filter((unit) => unit.endsWith('.service')),
  };
}

/** Ends what a package started: when it is removed, not when it is upgraded. @param {PackageName} name */
export function stopUnits(name) {
  const { timers, services } = startedBy(name);
  return `  if command -v systemctl >/dev/null; then
    systemctl --no-reload disable ${timers.join(' ')} >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
      systemctl stop ${timers.join(' ')} ${services.join(' ')} >/dev/null 2>&1 || :
    fi
  fi`;
}

/** Compiled code of Node. Keys (/var/lib/sparsebak), configuration and archives stay. */
export const removeCache = '  rm -rf /var/cache/sparsebak';

/** Tells systemd of new, changed or removed units; starts and restarts nothing. */
export const reloadUnits = `if [ -d /run/systemd/system ]; then systemctl daemon-reload >/dev/null 2>&1 || :; fi`;
