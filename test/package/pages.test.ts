// The commands of the installation pages, as they are written there, in systems without sparsebak.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { BootedSystem, bootSkip } from './booted-system.ts';
import { buildPackages, buildSkip, top } from './built.ts';
import { ScratchSystem, scratchSystemSkip } from './scratch-system.ts';

const skip = buildSkip('apt-get') || scratchSystemSkip() || bootSkip();

/** The shell blocks of one section of a page, in their order: fenced, or indented. */
function blocks(page: string, heading: string): string[] {
  const text = readFileSync(join(top, 'docs', page), 'utf8');
  const at = text.indexOf(`\n## ${heading}`);
  assert.notEqual(at, -1, `${page} has no section ${heading}`);
  const section = text.slice(at + 1, text.indexOf('\n## ', at + 1));
  const fenced = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, code = '']) => code);
  const indented = [...section.matchAll(/^\n((?: {4}.*\n)+)/gm)].map(([, code = '']) => code.replaceAll(/^ {4}/gm, ''));
  return [...fenced, ...indented];
}

function only(found: readonly string[], part: string): string {
  const matching = found.filter((code) => code.includes(part));
  assert.equal(matching.length, 1, `not one block with ${part}`);
  return matching[0] ?? '';
}

describe('docs/install-linux.md', { skip, timeout: 600_000 }, () => {
  test('leads from nothing to a proven restore with timers, and back', async (t) => {
    const scratch = makeScratch('packages');
    t.after(() => removeScratch(scratch));
    const { files, folder } = await buildPackages(join(scratch, 'built'), ['--only=deb']);
    const system = new ScratchSystem();
    t.after(() => system.end());
    system.bring(...files.map((name) => join(folder, name)));
    // Everything runs as root already.
    system.write('/usr/local/bin/sudo', '#!/bin/sh\nexec "$@"\n', 0o755);
    system.write('/var/lib/libvirt/images/web.img', Buffer.alloc(3 * 2 ** 20, 'as it is '));
    system.write('/root/backup-passphrase', 'correct horse battery staple\n', 0o600);
    system.succeed('mkdir', '-p', '/srv/backup');
    const booted = new BootedSystem(system);
    t.after(() => booted.end());
    await booted.started();
    let commands = 0;
    const began = Date.now();
    const run = (code: string) => {
      const ran = booted.run('/bin/sh', '-ec', `PATH=/usr/local/bin:$PATH\ncd /tmp\n${code}`);
      assert.equal(ran.status, 0, `${code}\n${ran.stdout}\n${ran.stderr}`);
      commands += code.trim().split(/(?<!\\)\n/).length;
      return ran.stdout;
    };

    run(only(blocks('install-linux.md', '1. Install'), 'apt install'));
    // The scratch system is in memory, where no file system has reflinks.
    const scripted = only(blocks('install-linux.md', '2. Set it up'), '--yes').replace('reflink:', 'file:');
    assert.match(run(scripted), /The restore of web\.img \(.*\) is proven/);
    assert.match(run('sudo sparsebak list'), /web\.img/);
    const doctor = booted.run('/usr/bin/sparsebak', 'doctor').stdout;
    assert.doesNotMatch(doctor, /FAILED/, doctor);
    assert.match(doctor, /ok +timers +sparsebak-send\.timer is on/);
    for (const name of ['monitor', 'send', 'verify']) {
      assert.equal(booted.show(`sparsebak-${name}.timer`, 'ActiveState'), 'active');
    }
    t.diagnostic(`${commands} commands, ${Math.round((Date.now() - began) / 1000)} seconds`);

    const key = system.read('/root/backup-recovery-key').toString().trim();
    assert.match(key, /^[0-9A-Z]{7}-/);
    run(only(blocks('install-linux.md', 'Removing it'), 'apt remove').replace('apt remove', 'apt-get remove --yes'));
    assert.equal(booted.run('systemctl', 'is-active', 'sparsebak-send.timer').stdout.trim(), 'inactive');
    for (const path of ['/etc/sparsebak/sparsebak.toml', '/var/lib/sparsebak', '/srv/backup'])
      assert.ok(system.has(path));
  });
});

// Neither Xen nor dnf is here: qvm-run and dnf are stand-ins, which copy a file of BUILD's and call rpm.
const signing = skip || buildSkip('gpg', 'rpmsign');

describe('docs/install-qubes.md', { skip: signing, timeout: 600_000 }, () => {
  test('brings signed packages into dom0 and a template', async (t) => {
    const scratch = makeScratch('packages');
    t.after(() => removeScratch(scratch));
    // gpg-agent's socket needs a short path.
    const home = spawnSync('mktemp', ['-d', '/tmp/sparsebak-gpg-XXXXXX'], { encoding: 'utf8' }).stdout.trim();
    const env = { ...process.env, GNUPGHOME: home };
    t.after(() => {
      spawnSync('gpgconf', ['--kill', 'all'], { env });
      removeScratch(home);
    });
    const key = 'packages@sparsebak.invalid';
    spawnSync('gpg', ['--batch', '--passphrase', '', '--quick-generate-key', key, 'rsa2048', 'sign', 'never'], { env });
    const { folder } = await buildPackages(join(scratch, 'built'), [], { env: { GNUPGHOME: home, SIGN_KEY: key } });
    const system = () => {
      const made = new ScratchSystem();
      t.after(() => made.end());
      made.write('/usr/local/bin/sudo', '#!/bin/sh\nexec "$@"\n', 0o755);
      return made;
    };
    const runIn = (where: ScratchSystem, code: string): string => {
      const ran = where.run('/bin/sh', ['-ec', `PATH=/usr/local/bin:$PATH\ncd /tmp\n${code}`]);
      assert.equal(ran.status, 0, `${code}\n${ran.stdout}\n${ran.stderr}`);
      return ran.stdout;
    };

    const dom0 = system();
    cpSync(folder, join(dom0.root, 'home/build/sparsebak/dist/packages'), { recursive: true });
    dom0.write('/tmp/sparsebak.asc', spawnSync('gpg', ['--armor', '--export', key], { env }).stdout);
    dom0.write(
      '/usr/local/bin/qvm-run',
      '#!/bin/sh\n[ "$1 $2" = "--pass-io BUILD" ] && cd /home/build && exec sh -c "$3"\n',
      0o755,
    );
    dom0.write('/usr/local/bin/dnf', '#!/bin/sh\nshift\nexec rpm -i --force-debian --nodeps "$@"\n', 0o755);
    const inDom0 = blocks('install-qubes.md', '3. dom0');
    const sums = runIn(dom0, only(inDom0, 'qvm-run --pass-io'));
    for (const line of sums.trim().split('\n')) {
      assert.ok(readFileSync(join(folder, 'SHA256SUMS'), 'utf8').includes(line), line);
    }
    const checked = runIn(dom0, only(inDom0, 'dnf install'));
    assert.equal(checked.match(/digests signatures OK/g)?.length, 2, checked);
    assert.match(runIn(dom0, 'sparsebak --version'), /^\d/);
    assert.ok(dom0.has('/etc/qubes/policy.d/30-sparsebak.policy'));
    assert.match(runIn(dom0, only(inDom0, 'sparsebak setup').replace('setup', 'setup --help')), /--destination/);

    const template = system();
    cpSync(folder, join(template.root, 'tmp'), { recursive: true });
    runIn(template, only(blocks('install-qubes.md', '2. The backup qube'), 'apt install'));
    template.write('/rw/config/sparsebak/receiver.toml', 'root = "/mnt/backup"\n');
    runIn(template, 'mkdir -p /mnt/backup');
    assert.match(runIn(template, 'sparsebak-receiver doctor'), /^ok +backup disk +\/mnt\/backup$/m);
    assert.equal(template.stat('/etc/qubes-rpc/sparsebak.Receive').mode, '755');
  });
});
