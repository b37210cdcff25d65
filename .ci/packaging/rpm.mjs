// RPMs, by rpmbuild.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAINTAINER, removeCache, reloadUnits, startedBy, stopUnits } from './packages.mjs';
import { run } from './run.mjs';
import { settle, stageFiles } from './stage.mjs';

/** @typedef {import('./contents.mjs').Entry} Entry */
/** @typedef {import('./packages.mjs').Package} Package */

/**
 * What would differ from one build to the next, or between machines; and steps of rpmbuild that change files.
 * @type {Record<string, string>}
 */
const MACROS = {
  _buildhost: 'localhost',
  use_source_date_epoch_as_buildtime: '1',
  clamp_mtime_to_source_date_epoch: '1',
  _build_id_links: 'none',
  // rpm of Fedora 31 and newer reads it.
  _binary_payload: 'w6.zstdio',
  __os_install_post: '%{nil}',
  debug_package: '%{nil}',
  optflags: '%{nil}',
};

/**
 * @param {Package} each @param {readonly Entry[]} entries
 * @param {{ version: string, date: number }} release @param {string} stage
 */
function spec({ name, summary, description, native, rpm }, entries, { version, date }, stage) {
  const tags = Object.entries(rpm).flatMap(([tag, values]) => values.map((value) => `${tag}: ${value}`));
  const files = entries.map(({ path, mode, bytes, config }) => {
    const attributes = `%attr(0${mode.toString(8)}, root, root)`;
    if (bytes === undefined) return `%dir ${attributes} ${path}`;
    const kind = /^\/usr\/share\/doc\//.test(path) || /^\/usr\/share\/man\//.test(path) ? '%doc ' : '';
    if (path.startsWith('/usr/share/licenses/')) return `%license ${attributes} ${path}`;
    return `${config === true ? '%config(noreplace) ' : kind}${attributes} ${path}`;
  });
  return `Name: ${name}
Version: ${version}
Release: 1
Summary: ${summary}
License: ${native ? 'MIT' : 'GPL-3.0-or-later'}
Group: Applications/Archiving
Packager: ${MAINTAINER}
${native ? 'URL: https://nodejs.org/\nAutoProv: no' : 'BuildArch: noarch\nAutoReqProv: no'}
${tags.join('\n')}

%description
${description}

%install
cp -a ${stage}/. %{buildroot}/

%files
${files.join('\n')}
${scripts(name)}
%changelog
* ${changelogDate(date)} ${MAINTAINER} - ${version}-1
- Release ${version}
`;
}

/** As in "Sun Nov 29 2026". @param {number} date */
function changelogDate(date) {
  const [weekday = '', day, month, year] = new Date(date * 1000).toUTCString().split(' ');
  return `${weekday.slice(0, 3)} ${month} ${day} ${year}`;
}

/** @param {Package['name']} name the first argument of a script counts the packages that will be left */
function scripts(name) {
  if (startedBy(name).timers.length === 0) return '';
  return `
%post
${reloadUnits}

%preun
if [ "$1" -eq 0 ]; then
${stopUnits(name)}
fi

%postun
if [ "$1" -eq 0 ]; then
${removeCache}
fi
${reloadUnits}
`;
}

/**
 * @param {Package} each @param {readonly Entry[]} entries
 * @param {import('./packages.mjs').BuildOptions} options
 * @returns {Promise<string>} the file's name
 */
export async function buildRpm(each, entries, { version, date, work, out }) {
  const top = join(work, `rpm-${each.name}`);
  const stage = join(top, 'stage');
  mkdirSync(stage, { recursive: true });
  stageFiles(stage, entries);
  settle(stage, date);
  const specFile = join(top, `${each.name}.spec`);
  writeFileSync(specFile, spec(each, entries, { version, date }, stage));
  const arch = each.native ? 'x86_64' : 'noarch';
  const macros = { ...MACROS, _topdir: top, _tmppath: join(top, 'tmp'), _rpmdir: top, _rpmfilename: '%{NAME}.rpm' };
  const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  const args = ['-bb', '--quiet', '--target', `${arch}-linux`, '--buildroot', join(top, 'root'), ...defines];
  await run('rpmbuild', [...args, specFile], { date, home: top });
  const file = `${each.name}-${version}-1.${arch}.rpm`;
  renameSync(join(top, `${each.name}.rpm`), join(out, file));
  return file;
}
