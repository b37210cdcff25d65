// Makes the packages in dist/packages: RPMs, Debian packages, a tarball, an SBOM and SHA256SUMS. The same sources give
// the same bytes, in whatever folder and by whomever (docs/packages.md).
//
//   --without-node     not sparsebak-node and the tarball, which take most of the time
//   --only=FORMAT      only rpm, deb or tarball; may be repeated
//   --out=DIR          to another folder
//   --version=VERSION  packages with another version than package.json has, for tests of an upgrade
//
//   SIGN_KEY           a key of gpg that signs the RPMs and SHA256SUMS
//   SOURCE_DATE_EPOCH  the date of all files, in seconds since 1970; default: that of the commit

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { Contents } from './packaging/contents.mjs';
import { buildDeb } from './packaging/deb.mjs';
import { packages } from './packaging/packages.mjs';
import { buildRpm } from './packaging/rpm.mjs';
import { sbom } from './packaging/sbom.mjs';
import { signDetached, signRpms } from './packaging/sign.mjs';
import { buildTarball } from './packaging/tarball.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const { values } = parseArgs({
  options: {
    'without-node': { type: 'boolean' },
    only: { type: 'string', multiple: true },
    out: { type: 'string' },
    version: { type: 'string' },
  },
});

/** The date of everything where neither the environment nor git has one: 2026-01-01. */
const NO_DATE = 1_767_225_600;

function sourceDate() {
  if (process.env.SOURCE_DATE_EPOCH !== undefined) return Number(process.env.SOURCE_DATE_EPOCH);
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '' ? Number(stdout) : NO_DATE;
}

/** Each program that a kind of package needs. */
const builders = {
  rpm: { program: 'rpmbuild', from: 'rpm (Debian) or rpm-build (Fedora)' },
  deb: { program: 'dpkg-deb', from: 'dpkg' },
  tarball: { program: 'xz', from: 'xz-utils (Debian) or xz (Fedora)' },
};

/** @param {keyof typeof builders} kind @returns whether it can be made here; says so if not */
function canBuild(kind) {
  if (values.only !== undefined && !values.only.includes(kind)) return false;
  const { program, from } = builders[kind];
  if (spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined) return true;
  console.error(`package: no ${kind} is made, since there is no ${program} here: install ${from}`);
  process.exitCode = 1;
  return false;
}

/** Both cores are used, as far as there is work. @param {(() => Promise<string>)[]} jobs the longest first */
async function runAll(jobs) {
  /** @type {string[]} */
  const files = [];
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) files.push(await job());
  };
  await Promise.all([worker(), worker()]);
  return files.sort();
}

/** @param {string} folder @param {readonly string[]} files */
function sums(folder, files) {
  return files
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex')}  ${name}\n`,
    )
    .join('');
}

/** Only files that a run of this script made: a folder of the user's may be given. @param {string} out */
function removeOldFiles(out) {
  for (const name of readdirSync(out)) {
    if (/^sparsebak[-_].*\.(rpm|deb|tar\.xz|cdx\.json)$|^SHA256SUMS(\.asc)?$/.test(name)) rmSync(join(out, name));
  }
}

async function main() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = values.version ?? manifest.version;
  const withNode = values['without-node'] !== true;
  const out = resolve(values.out ?? join(root, 'dist/packages'));
  const contents = new Contents(root, join(root, 'node_modules/node/bin/node'));
  const date = sourceDate();
  mkdirSync(out, { recursive: true });
  removeOldFiles(out);
  const work = mkdtempSync(join(tmpdir(), 'sparsebak-package-'));
  const options = { version, date, work, out };
  try {
    /** @type {(() => Promise<string>)[]} */
    const jobs = [];
    const [rpm, deb] = [canBuild('rpm'), canBuild('deb')];
    if (withNode && canBuild('tarball')) jobs.push(() => buildTarball(contents, options));
    const wanted = packages.filter(({ native }) => withNode || !native);
    for (const each of wanted.sort((a, b) => Number(b.native) - Number(a.native))) {
      const entries = contents.of(each.name);
      for (const [format, build] of /** @type {const} */ ([
        ['deb', deb ? buildDeb : undefined],
        ['rpm', rpm ? buildRpm : undefined],
      ])) {
        if (build === undefined || !each.formats.includes(format)) continue;
        const files = entries.filter(({ only }) => only === undefined || only === format);
        jobs.push(() => build(each, files, options));
      }
    }
    const files = await runAll(jobs);
    const list = `sparsebak-${version}.cdx.json`;
    const nodeVersion = withNode
      ? JSON.parse(contents.bytes('node_modules/node/package.json').toString()).version
      : undefined;
    writeFileSync(join(out, list), sbom(contents, { version, date, nodeVersion }));
    const key = process.env.SIGN_KEY ?? '';
    if (key !== '') await signRpms(out, files, key);
    writeFileSync(join(out, 'SHA256SUMS'), sums(out, [...files, list].sort()));
    if (key !== '') await signDetached(out, 'SHA256SUMS', key);
    console.log(readFileSync(join(out, 'SHA256SUMS'), 'utf8').trimEnd());
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  console.error(`package: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
