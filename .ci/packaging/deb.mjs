// Debian packages, by dpkg-deb.

import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compressed, file } from './contents.mjs';
import { lintianOverrides } from './overrides.mjs';
import { MAINTAINER, removeCache, reloadUnits, startedBy, stopUnits } from './packages.mjs';
import { run } from './run.mjs';
import { settle, stageFiles } from './stage.mjs';

/** @typedef {import('./contents.mjs').Entry} Entry */
/** @typedef {import('./packages.mjs').Package} Package */

/** @param {Package} each @param {readonly Entry[]} entries @param {string} version */
function control({ name, summary, description, native, deb }, entries, version) {
  const fields = Object.entries(deb).map(([field, values]) => `${field}: ${values.join(', ')}`);
  const kib = Math.ceil(entries.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0) / 1024);
  const text = description.split('\n').map((line) => ` ${line}`);
  return `Package: ${name}
Version: ${version}
Architecture: ${native ? 'amd64' : 'all'}
Maintainer: ${MAINTAINER}
Installed-Size: ${kib}
${fields.join('\n')}
Section: admin
Priority: optional
Description: ${summary[0]?.toLowerCase()}${summary.slice(1)}
${text.join('\n')}
`;
}

/** @param {Package['name']} name @returns {Record<string, string>} */
function scripts(name) {
  if (startedBy(name).timers.length === 0) return {};
  return {
    postinst: `#!/bin/sh\nset -e\n${reloadUnits}\n`,
    prerm: `#!/bin/sh\nset -e\nif [ "$1" = remove ]; then\n${stopUnits(name)}\nfi\n`,
    // Also after "purge": keys and archives are not ours to remove.
    postrm: `#!/bin/sh\nset -e\nif [ "$1" = remove ]; then\n${removeCache}\nfi\n${reloadUnits}\n`,
  };
}

/** @param {string} name @param {string} version @param {number} date */
function changelog(name, version, date) {
  const when = new Date(date * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium\n\n  * Release ${version}.\n\n -- ${MAINTAINER}  ${when}\n`;
}

/**
 * @param {Package} each @param {readonly Entry[]} entries
 * @param {import('./packages.mjs').BuildOptions} options
 * @returns {Promise<string>} the file's name
 */
export async function buildDeb(each, entries, { version, date, work, out }) {
  const { name } = each;
  const stage = join(work, `deb-${name}`);
  const all = [
    ...entries,
    file(`/usr/share/doc/${name}/changelog.gz`, compressed(changelog(name, version, date))),
    ...lintianOverrides(name),
  ];
  stageFiles(stage, all);
  const meta = join(stage, 'DEBIAN');
  mkdirSync(meta);
  /** @param {string} file @param {string} text @param {number} [mode] */
  const put = (file, text, mode = 0o644) => {
    writeFileSync(join(meta, file), text);
    chmodSync(join(meta, file), mode);
  };
  put('control', control(each, all, version));
  const conffiles = all.filter(({ config }) => config !== undefined).map(({ path }) => `${path}\n`);
  if (conffiles.length > 0) put('conffiles', conffiles.join(''));
  const sums = all.flatMap(({ path, bytes, config }) =>
    bytes === undefined || config !== undefined
      ? []
      : [`${createHash('md5').update(bytes).digest('hex')}  ${path.slice(1)}\n`],
  );
  put('md5sums', sums.join(''));
  for (const [script, text] of Object.entries(scripts(name))) put(script, text, 0o755);
  settle(stage, date);
  const result = `${name}_${version}_${each.native ? 'amd64' : 'all'}.deb`;
  // One thread: what several write depends on their number. Node is large, and hardly smaller at a higher level.
  const compression = ['-Zxz', each.native ? '-z0' : '-z6', '--threads-max=1'];
  await run('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, join(out, result)], { date });
  return result;
}
