// RPMs as they are really installed, upgraded and removed by rpm, in a system whose packages are Debian's: so their
// dependencies are not resolved here.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { firstBackup, userFiles, restores } from './backup.ts';
import { OLDER, buildPackages, buildSkip, olderCheckout, type Built } from './built.ts';
import { ScratchSystem, scratchSystemSkip } from './scratch-system.ts';

const skip = buildSkip() || scratchSystemSkip();

/** Debian's rpm refuses to install without it. */
const INSTALL = ['--force-debian', '--nodeps'];

describe('RPMs', { skip, timeout: 600_000 }, () => {
  let scratch: string;
  let older: Built;
  let newer: Built;
  before(async () => {
    scratch = makeScratch('packages');
    const args = ['--only=rpm', '--without-node', `--version=${OLDER}`];
    older = await buildPackages(join(scratch, 'older'), args, { checkout: olderCheckout(join(scratch, 'checkout')) });
    newer = await buildPackages(join(scratch, 'newer'), ['--only=rpm', '--without-node']);
  });
  after(() => removeScratch(scratch));

  const rpm = (built: Built, name: string) => built.find(name, '.rpm');
  const isEnabled = (system: ScratchSystem, unit: string) =>
    system.run('systemctl', ['is-enabled', unit]).stdout.trim();
  const systemFor = (t: { after: (done: () => void) => void }) => {
    const system = new ScratchSystem();
    t.after(() => system.end());
    system.write('/usr/bin/node', `#!/bin/sh\nexec ${process.execPath} "$@"\n`, 0o755);
    return system;
  };

  test('of a host: install, back up, upgrade, remove', (t) => {
    const system = systemFor(t);
    const [first = '', second = ''] = system.bring(rpm(older, 'sparsebak'), rpm(newer, 'sparsebak'));
    system.succeed('rpm', '-i', ...INSTALL, first);
    assert.equal(system.succeed('rpm', '-q', 'sparsebak').trim(), `sparsebak-${OLDER}-1.noarch`);
    assert.equal(system.succeed('rpm', '-V', '--nodeps', 'sparsebak'), '');
    for (const timer of ['monitor', 'send', 'verify', 'scrub']) {
      assert.equal(isEnabled(system, `sparsebak-${timer}.timer`), 'disabled');
    }
    // What Fedora's tools do with all units.
    system.succeed('systemctl', 'preset', 'sparsebak-send.timer', 'sparsebak-verify.timer');
    assert.equal(isEnabled(system, 'sparsebak-send.timer'), 'disabled');
    system.succeed('systemctl', 'enable', 'sparsebak-send.timer');
    firstBackup(system);

    system.succeed('rpm', '-U', ...INSTALL, second);
    assert.equal(isEnabled(system, 'sparsebak-send.timer'), 'enabled');
    restores(system, 'after-upgrade.img');

    const files = userFiles(system);
    system.succeed('rpm', '-e', 'sparsebak');
    for (const path of ['/usr/bin/sparsebak', '/usr/lib/sparsebak', '/var/cache/sparsebak']) {
      assert.ok(!system.has(path), path);
    }
    assert.ok(!system.has('/etc/systemd/system/timers.target.wants/sparsebak-send.timer'));
    assert.equal(userFiles(system), files);
  });

  test('of dom0: its policy is not replaced once it was edited, and excludes the package of a host', (t) => {
    const system = systemFor(t);
    const files = system.bring(rpm(older, 'sparsebak-dom0'), rpm(newer, 'sparsebak-dom0'), rpm(newer, 'sparsebak'));
    const [first = '', second = '', host = ''] = files;
    system.succeed('rpm', '-i', ...INSTALL, first);
    const policy = '/etc/qubes/policy.d/30-sparsebak.policy';
    const edited = `# mine\n${system.read(policy).toString()}`;
    system.write(policy, edited);
    system.succeed('rpm', '-U', ...INSTALL, second);
    assert.equal(system.read(policy).toString(), edited);
    const current = join(import.meta.dirname, '../../qubes-rpc/policy.d/30-sparsebak.policy');
    assert.ok(system.read(`${policy}.rpmnew`).equals(readFileSync(current)));
    assert.match(system.succeed('sparsebak', '--version'), /^\d/);
    const both = system.run('rpm', ['-i', '--force-debian', '--test', host]);
    assert.notEqual(both.status, 0);
    assert.match(both.stderr, /sparsebak-dom0.* conflicts with|conflicts with .*sparsebak-dom0/);
    system.succeed('rpm', '-e', 'sparsebak-dom0');
    assert.ok(!system.has(policy));
    assert.equal(system.read(`${policy}.rpmsave`).toString(), edited);
    assert.ok(!system.has('/usr/lib/udev/rules.d/12-sparsebak.rules'));
  });

  test('of a backup qube: its services are those of the install script, for a template', (t) => {
    const system = systemFor(t);
    const [receiver = ''] = system.bring(rpm(newer, 'sparsebak-vm'));
    system.succeed('rpm', '-i', ...INSTALL, receiver);
    const other = join(scratch, 'by-script');
    const script = join(import.meta.dirname, '../../qubes-rpc/install/vm.sh');
    system.succeed('mkdir', '-p', `${other}/usr/bin`);
    system.succeed('ln', '-s', '/usr/bin/node', `${other}/usr/bin/node`);
    system.succeed('sh', script, '--yes', '--type', 'template', '--user', 'root', '--root', other);
    for (const name of ['Receive', 'Retrieve', 'Maintain']) {
      const service = `/etc/qubes-rpc/sparsebak.${name}`;
      assert.ok(system.read(service).equals(system.read(other + service)), service);
      assert.deepEqual(system.stat(service), { mode: '755', owner: '0:0' });
      const settings = `/etc/qubes/rpc-config/sparsebak.${name}`;
      assert.equal(
        system.read(settings).toString().replace("'user'", "'root'"),
        system.read(other + settings).toString(),
      );
    }
    const program = '/usr/lib/sparsebak/sparsebak-receiver.js';
    assert.ok(system.read(program).equals(system.read(other + program)));
  });
});
