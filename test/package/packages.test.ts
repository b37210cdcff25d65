// What is in the packages and how they are made: files, modes, owners, the checks of both distributions, checksums, the
// list of materials, signatures, and the same bytes from another folder.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { DATE, buildPackages, buildSkip, copyCheckout, top, type Built } from './built.ts';
import { COMMON, ONLY, helpFilesOf, modeOf } from './manifest.ts';

const skip = buildSkip('lintian', 'rpmlint', 'gpg', 'rpmsign');

/** A program's output. @throws unless it succeeds */
function output(program: string, args: readonly string[], env = process.env): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env, maxBuffer: 2 ** 26 });
  assert.equal(status, 0, `${program}: ${stderr}${stdout}`);
  return stdout;
}

/** "mode owner path" of each file and folder, but for what both formats leave to the system, in order. */
function filesOfDeb(path: string): string[] {
  const rows = output('dpkg-deb', ['-c', path]).trim().split('\n');
  return rows.map((row) => {
    const [mode = '', owner = '', , , , name = ''] = row.split(/\s+/);
    return `${mode} ${owner} ${name.slice(1).replace(/\/$/, '')}`;
  });
}

function filesOfRpm(path: string): string[] {
  const format = '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]';
  return output('rpm', ['-qp', '--qf', format, path]).trim().split('\n');
}

/** Folders above ours belong to the system, and manual pages and completion come and go with what the build made. */
const isListed = (row: string) =>
  / \/.*sparsebak/.test(row) && !/\/share\/(man|bash-completion|zsh|fish|lintian)\//.test(row);

describe('the packages', { skip, timeout: 600_000 }, () => {
  let scratch: string;
  let built: Built;
  before(async () => {
    scratch = makeScratch('packages');
    built = await buildPackages(join(scratch, 'packages'), ['--without-node']);
  });
  after(() => removeScratch(scratch));

  test('have these files and no others, owned by root', () => {
    for (const [name, { rpm, deb, paths }] of Object.entries(ONLY)) {
      const expected = (more: readonly string[]) =>
        [...COMMON.map((path) => path.replaceAll('NAME', name)), ...paths, ...more]
          .map((path) => `${modeOf(path)} root/root ${path.replace(/\/$/, '')}`)
          .sort();
      assert.deepEqual(filesOfRpm(built.find(name, '.rpm')).filter(isListed).sort(), expected(rpm), `${name}, RPM`);
      if (deb === undefined) continue;
      assert.deepEqual(filesOfDeb(built.find(name, '.deb')).filter(isListed).sort(), expected(deb), `${name}, deb`);
    }
  });

  test('have the manual pages and the completion of their programs', () => {
    for (const [name, programs] of [
      ['sparsebak', ['sparsebak', 'sparsebak-receiver']],
      ['sparsebak-dom0', ['sparsebak']],
      ['sparsebak-vm', ['sparsebak-receiver']],
    ] as const) {
      for (const format of ['rpm', 'deb'] as const) {
        if (format === 'deb' && ONLY[name]?.deb === undefined) continue;
        const path = built.find(name, `.${format}`);
        const files = (format === 'rpm' ? filesOfRpm(path) : filesOfDeb(path)).filter((row) => !isListed(row));
        const help = files.filter((row) => row.startsWith('-') && row.includes('sparsebak'));
        for (const each of programs.flatMap((program) => helpFilesOf(program, format))) {
          assert.ok(help.includes(`-rw-r--r-- root/root ${each}`), `${name} has no ${each}: ${help.join('\n')}`);
        }
        const others = help.filter((row) => !programs.some((program) => row.split('/').at(-1)?.includes(program)));
        assert.deepEqual(others, []);
        const foreign =
          name === 'sparsebak-dom0' ? 'sparsebak-receiver' : name === 'sparsebak-vm' ? 'sparsebak.1' : '-';
        assert.deepEqual(
          help.filter((row) => foreign !== '-' && row.includes(foreign)),
          [],
        );
      }
    }
  });

  test('have programs that are byte for byte those of the build', () => {
    const folder = join(scratch, 'unpacked');
    output('dpkg-deb', ['-x', built.find('sparsebak', '.deb'), folder]);
    for (const name of ['sparsebak.js', 'sparsebak-receiver.js']) {
      const installed = readFileSync(join(folder, 'usr/lib/sparsebak', name));
      assert.ok(installed.equals(readFileSync(join(top, 'dist', name))), name);
    }
  });

  test('name each package in them, once, with its licence', () => {
    const folder = join(scratch, 'documents');
    output('dpkg-deb', ['-x', built.find('sparsebak', '.deb'), folder]);
    const list = readFileSync(join(folder, 'usr/share/doc/sparsebak/packages.txt'), 'utf8');
    const [rows = ''] = list.split('\n\n', 1);
    const names = rows.split('\n').map((row) => row.split(' ').slice(0, 2).join(' '));
    assert.ok(names.length > 10);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.equal(list.split(`\n--- ${name}\n`).length, 2, name);
    for (const lists of ['sparsebak', 'sparsebak-receiver']) {
      const own = readFileSync(join(top, `dist/${lists}.packages.txt`), 'utf8').split('\n\n', 1)[0] ?? '';
      for (const row of own.split('\n')) assert.ok(rows.split('\n').includes(row), row);
    }
  });

  test('have examples of the configuration that are valid', () => {
    for (const name of ['sparsebak-linux', 'sparsebak-qubes']) {
      const config = join(top, `docs/examples/${name}.toml`);
      output(process.execPath, [join(top, 'dist/sparsebak.js'), '--config', config, 'config', 'check']);
    }
  });

  test('pass lintian and rpmlint without an error', () => {
    const debs = built.files.filter((name) => name.endsWith('.deb')).map((name) => join(built.folder, name));
    const rpms = built.files.filter((name) => name.endsWith('.rpm')).map((name) => join(built.folder, name));
    const lintian = spawnSync('lintian', ['--fail-on', 'error', ...debs], { encoding: 'utf8' });
    assert.equal(lintian.status, 0, lintian.stdout);
    const rpmlint = spawnSync('rpmlint', ['-c', join(top, '.ci/packaging/rpmlint.toml'), ...rpms], {
      encoding: 'utf8',
    });
    assert.match(rpmlint.stdout, / 0 errors,/, rpmlint.stdout);
  });

  test('are byte for byte the same when they are made again in another folder, by another user’s settings', async () => {
    const clone = copyCheckout(join(scratch, 'another/folder'));
    const umask = process.umask(0o077);
    try {
      const env = { LANG: 'de_DE.UTF-8', TZ: 'Pacific/Auckland', HOME: scratch, LOGNAME: 'somebody' };
      const again = await buildPackages(join(scratch, 'again'), ['--without-node'], { checkout: clone, env });
      assert.deepEqual(again.files, built.files);
      for (const name of built.files) {
        assert.ok(readFileSync(join(again.folder, name)).equals(readFileSync(join(built.folder, name))), name);
      }
    } finally {
      process.umask(umask);
    }
  });

  test('say nothing of the machine, the user and the hour of the build', () => {
    const about = '%{BUILDHOST} %{BUILDTIME} %{PACKAGER}';
    const expected = `localhost ${String(DATE)} sparsebak maintainers <maintainers@sparsebak.invalid>`;
    for (const name of Object.keys(ONLY)) {
      const path = built.find(name, '.rpm');
      assert.equal(output('rpm', ['-qp', '--qf', about, path]), expected);
      const times = output('rpm', ['-qp', '--qf', '[%{FILEMTIMES}\n]', path]).trim().split('\n');
      assert.deepEqual([...new Set(times)], [String(DATE)], name);
    }
  });

  test('come with checksums of all, and a list of materials with each package of each bundle', () => {
    const sums = readFileSync(join(built.folder, 'SHA256SUMS'), 'utf8').trim().split('\n');
    assert.deepEqual(
      sums.map((line) => line.slice(66)),
      built.files.filter((name) => name !== 'SHA256SUMS'),
    );
    output('sh', ['-c', 'cd "$0" && sha256sum --check --quiet SHA256SUMS', built.folder]);

    interface Component {
      readonly type: string;
      readonly name: string;
      readonly version: string;
      readonly 'bom-ref': string;
      readonly licenses: readonly { license: { id: string } }[];
      readonly hashes: readonly { alg: string; content: string }[];
    }
    const bom = JSON.parse(readFileSync(built.find('sparsebak', '.cdx.json'), 'utf8')) as {
      bomFormat: string;
      components: Component[];
      dependencies: { ref: string; dependsOn?: string[] }[];
    };
    assert.equal(bom.bomFormat, 'CycloneDX');
    for (const bundle of ['sparsebak', 'sparsebak-receiver']) {
      const [rows = ''] = readFileSync(join(top, `dist/${bundle}.packages.txt`), 'utf8').split('\n\n', 1);
      const listed = rows.split('\n').map((row) => row.split(' ').slice(0, 2).join('@'));
      const depends = bom.dependencies.find(({ ref }) => ref === `file:${bundle}.js`)?.dependsOn ?? [];
      assert.deepEqual(depends.map((ref) => ref.replace('npm:', '')).sort(), listed.sort());
    }
    for (const { name, licenses, hashes, type } of bom.components) {
      assert.equal(licenses.length, 1, name);
      assert.match(hashes[0]?.content ?? '', type === 'library' ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/, name);
    }
  });

  test('are signed with SIGN_KEY, each RPM in itself and the checksums beside them', async (t) => {
    // gpg-agent's socket needs a short path.
    const home = output('mktemp', ['-d', '/tmp/sparsebak-gpg-XXXXXX']).trim();
    t.after(() => {
      spawnSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, GNUPGHOME: home } });
      removeScratch(home);
    });
    const env = { ...process.env, GNUPGHOME: home };
    const key = 'packages@sparsebak.invalid';
    output('gpg', ['--batch', '--passphrase', '', '--quick-generate-key', key, 'rsa2048', 'sign', 'never'], env);
    const args = ['--without-node'];
    const signed = await buildPackages(join(scratch, 'signed'), args, { env: { GNUPGHOME: home, SIGN_KEY: key } });
    const sums = join(signed.folder, 'SHA256SUMS');
    output('gpg', ['--verify', `${sums}.asc`, sums], env);
    output('sh', ['-c', 'cd "$0" && sha256sum --check --quiet SHA256SUMS', signed.folder]);

    const database = join(scratch, 'rpmdb');
    writeFileSync(join(scratch, 'key.asc'), output('gpg', ['--armor', '--export', key], env));
    const rpm = (...more: string[]) => spawnSync('rpmkeys', ['--dbpath', database, ...more], { encoding: 'utf8' });
    const each = signed.find('sparsebak-dom0', '.rpm');
    const strict = ['--define', '_pkgverify_level all', '--checksig'];
    assert.notEqual(rpm(...strict, each).status, 0);
    assert.equal(rpm('--import', join(scratch, 'key.asc')).status, 0);
    const { status, stdout } = rpm(...strict, each);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /digests signatures OK/);
    // What is signed is what anybody builds from the same commit.
    const covered = ['-qp', '--nosignature', '--qf', '%{SHA256HEADER} %{PAYLOADDIGEST}'];
    assert.equal(output('rpm', [...covered, each]), output('rpm', [...covered, built.find('sparsebak-dom0', '.rpm')]));
    assert.notEqual(rpm(...strict, built.find('sparsebak-dom0', '.rpm')).status, 0, 'not signed');
  });
});
