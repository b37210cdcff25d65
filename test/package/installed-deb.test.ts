// Debian packages as they are really installed, upgraded and removed by dpkg.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { firstBackup, userFiles, restores } from './backup.ts';
import { OLDER, buildPackages, buildSkip, olderCheckout, type Built } from './built.ts';
import { ScratchSystem, scratchSystemSkip } from './scratch-system.ts';

const skip = buildSkip() || scratchSystemSkip();

describe('Debian packages', { skip, timeout: 600_000 }, () => {
  let scratch: string;
  let older: Built;
  let newer: Built;
  before(async () => {
    scratch = makeScratch('packages');
    const args = ['--only=deb', '--without-node', `--version=${OLDER}`];
    older = await buildPackages(join(scratch, 'older'), args, { checkout: olderCheckout(join(scratch, 'checkout')) });
    newer = await buildPackages(join(scratch, 'newer'), ['--only=deb']);
  });
  after(() => removeScratch(scratch));

  const deb = (built: Built, name: string) => built.find(name, '.deb');
  const isEnabled = (system: ScratchSystem, unit: string) =>
    system.run('systemctl', ['is-enabled', unit]).stdout.trim();

  test('of a host: install, back up, upgrade, remove, install again', (t) => {
    const system = new ScratchSystem();
    t.after(() => system.end());
    const [node = '', first = '', second = ''] = system.bring(
      deb(newer, 'sparsebak-node'),
      deb(older, 'sparsebak'),
      deb(newer, 'sparsebak'),
    );

    // A Node that is missing is found now, not by the first backup.
    const alone = system.run('dpkg', ['-i', first]);
    assert.notEqual(alone.status, 0);
    assert.match(alone.stderr, /depends on nodejs \(>= 22\.15\) \| sparsebak-node/);
    system.succeed('dpkg', '-i', node);
    system.succeed('dpkg', '--configure', '-a');
    assert.equal(
      system.succeed('dpkg-query', '-W', '-f', '${Version} ${Status}', 'sparsebak'),
      `${OLDER} install ok installed`,
    );
    assert.equal(system.succeed('dpkg', '--verify', 'sparsebak', 'sparsebak-node'), '');

    for (const timer of ['monitor', 'send', 'verify', 'scrub']) {
      assert.equal(isEnabled(system, `sparsebak-${timer}.timer`), 'disabled');
    }
    system.succeed('systemctl', 'enable', 'sparsebak-send.timer');
    firstBackup(system);
    assert.ok(system.has('/var/cache/sparsebak'));

    system.succeed('dpkg', '-i', second);
    assert.equal(isEnabled(system, 'sparsebak-send.timer'), 'enabled');
    assert.equal(isEnabled(system, 'sparsebak-monitor.timer'), 'disabled');
    restores(system, 'after-upgrade.img');

    const files = userFiles(system);
    system.succeed('dpkg', '-r', 'sparsebak', 'sparsebak-node');
    for (const path of ['/usr/bin/sparsebak', '/usr/lib/sparsebak', '/var/cache/sparsebak']) {
      assert.ok(!system.has(path), path);
    }
    assert.ok(!system.has('/etc/systemd/system/timers.target.wants/sparsebak-send.timer'));
    assert.equal(userFiles(system), files);
    system.succeed('dpkg', '-P', 'sparsebak');
    assert.equal(userFiles(system), files);

    system.succeed('dpkg', '-i', node, second);
    restores(system, 'after-all.img');
  });

  test('of a host without sparsebak-node: on the Node of the PATH, or with a line that says what to install', (t) => {
    const system = new ScratchSystem();
    t.after(() => system.end());
    const [host = ''] = system.bring(deb(newer, 'sparsebak'));
    system.succeed('dpkg', '--force-depends', '-i', host);
    for (const [program, least] of [
      ['sparsebak', '22.15'],
      ['sparsebak-receiver', '20'],
    ] as const) {
      const none = system.run(program, ['--version']);
      assert.equal(none.status, 2);
      const line = `${program}: there is no Node here: install the package sparsebak-node, or Node ${least} or newer\n`;
      assert.equal(none.stderr, line);
    }

    // Debian calls it nodejs as well.
    system.write('/usr/bin/nodejs', `#!/bin/sh\nexec ${process.execPath} "$@"\n`, 0o755);
    firstBackup(system);
    restores(system, 'with-path-node.img');

    // Node's own version cannot be chosen, but what the program is told of it can.
    for (const [version, tooOldFor] of [
      ['18.20.4', ['sparsebak', 'sparsebak-receiver']],
      ['22.14.9', ['sparsebak']],
    ] as const) {
      const versions = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`;
      system.write('/usr/lib/old.cjs', versions);
      system.write('/usr/bin/nodejs', `#!/bin/sh\nexec ${process.execPath} --require /usr/lib/old.cjs "$@"\n`, 0o755);
      for (const program of ['sparsebak', 'sparsebak-receiver'] as const) {
        const { status, stdout, stderr } = system.run(program, ['--version']);
        if ((tooOldFor as readonly string[]).includes(program)) {
          assert.equal(status, 2);
          assert.match(
            stderr,
            new RegExp(
              `^${program}: it needs Node \\S+ or newer.* is ${version}: install the package sparsebak-node, or`,
            ),
          );
        } else assert.match(stdout, /^\d+\.\d+\.\d+/);
      }
    }
  });

  test('of a backup qube: excludes that of a host, and keeps what was changed in its settings', (t) => {
    const system = new ScratchSystem();
    t.after(() => system.end());
    const files = system.bring(deb(newer, 'sparsebak-node'), deb(older, 'sparsebak-vm'), deb(newer, 'sparsebak-vm'));
    const [node = '', first = '', second = ''] = files;
    const [host = ''] = system.bring(deb(newer, 'sparsebak'));
    system.succeed('dpkg', '-i', node, first);
    const both = system.run('dpkg', ['-i', host]);
    assert.notEqual(both.status, 0);
    assert.match(both.stderr, /conflicting packages/);

    const settings = '/etc/qubes/rpc-config/sparsebak.Receive';
    system.write(settings, "force-user='backup'\n");
    system.succeed('dpkg', '-i', '--force-confold', second);
    assert.equal(system.read(settings).toString(), "force-user='backup'\n");
    assert.match(system.succeed('/usr/bin/sparsebak-receiver', '--version'), /^\d/);
    // As qrexec starts it: in a template the services are in /etc, and find the packaged Node without a PATH.
    system.write('/srv/backup/.keep', '');
    system.write('/etc/sparsebak/receiver.toml', 'root = "/srv/backup"\n');
    const call = system.run('/etc/qubes-rpc/sparsebak.Retrieve', ['laptop'], {
      PATH: '/bin',
      QREXEC_REMOTE_DOMAIN: 'dom0',
      QREXEC_SERVICE_ARGUMENT: 'laptop',
    });
    assert.doesNotMatch(call.stderr, /there is no/);
    assert.match(call.stdout, /^SPBK/);

    system.succeed('dpkg', '-r', 'sparsebak-vm');
    assert.ok(!system.has('/usr/bin/sparsebak-receiver'));
    assert.equal(system.read(settings).toString(), "force-user='backup'\n");
    assert.ok(system.has('/etc/sparsebak/receiver.toml'));
  });
});
