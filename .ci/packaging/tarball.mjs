// The tarball: both programs and Node in one folder that runs wherever it is unpacked.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { file, programsOf } from './contents.mjs';
import { portableLauncher } from './launcher.mjs';
import { run } from './run.mjs';
import { settle, stageFiles } from './stage.mjs';

/** @typedef {import('./contents.mjs').Entry} Entry */

/** Places of the packages, and those in the tarball; everything else is not in it. */
const PLACES = [
  ['/usr/lib/sparsebak/', '/lib/sparsebak/'],
  ['/usr/lib/systemd/system/', '/systemd/'],
  ['/usr/lib/udev/rules.d/', '/udev/'],
  ['/usr/share/doc/sparsebak/', '/doc/'],
  ['/usr/share/man/', '/share/man/'],
  ['/usr/share/bash-completion/', '/share/bash-completion/'],
  ['/usr/share/zsh/site-functions/', '/share/zsh/site-functions/'],
  ['/usr/share/fish/', '/share/fish/'],
];

/** @param {import('./contents.mjs').Contents} contents @returns {Entry[]} */
function entriesOf(contents) {
  const installed = [...contents.of('sparsebak'), ...contents.of('sparsebak-node')];
  const moved = installed.flatMap((entry) => {
    const [from = '', to = ''] = PLACES.find(([prefix = '']) => entry.path.startsWith(prefix)) ?? [];
    if (entry.bytes === undefined || entry.only === 'deb' || from === '') return [];
    return [{ ...entry, path: `${to}${entry.path.slice(from.length)}` }];
  });
  return [
    ...moved,
    ...programsOf.sparsebak.map((name) => file(`/bin/${name}`, portableLauncher(name), { mode: 0o755 })),
    file('/LICENSE', contents.bytes('LICENSE')),
    file('/lib/sparsebak/node/LICENSE', contents.nodeLicence()),
    file('/README.md', contents.bytes('README.md')),
    file('/CHANGELOG.md', contents.bytes('CHANGELOG.md')),
  ];
}

/**
 * @param {import('./contents.mjs').Contents} contents @param {import('./packages.mjs').BuildOptions} options
 * @returns {Promise<string>} the file's name
 */
export async function buildTarball(contents, { version, date, work, out }) {
  const top = `sparsebak-${version}`;
  const parent = join(work, 'tarball');
  mkdirSync(join(parent, top), { recursive: true });
  stageFiles(join(parent, top), entriesOf(contents));
  settle(parent, date);
  const result = `${top}-linux-x64.tar.xz`;
  const owner = ['--owner=root:0', '--group=root:0', '--format=gnu'];
  // One thread: what several write depends on their number. Node is hardly smaller at a higher level.
  const compression = ['--use-compress-program', 'xz -0 -T1'];
  await run('tar', ['--create', '--sort=name', ...owner, ...compression, '-f', join(out, result), '-C', parent, top]);
  return result;
}
