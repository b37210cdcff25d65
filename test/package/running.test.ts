// The units as systemd really starts, confines, keeps and stops them.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { firstBackup } from './backup.ts';
import { BootedSystem, bootSkip } from './booted-system.ts';
import { OLDER, buildPackages, buildSkip, top } from './built.ts';
import { ScratchSystem, scratchSystemSkip } from './scratch-system.ts';

const skip = buildSkip() || scratchSystemSkip() || bootSkip();
const TIMERS = ['monitor', 'scrub', 'send', 'verify'].map((name) => `sparsebak-${name}.timer`);

/** What the scrub's service may not do, each with the exit status of the attempt. */
const FORBIDDEN = `
touch /usr/by-service; echo "usr $?"
touch /etc/by-service; echo "etc $?"
touch /srv/backup/by-service; echo "archive $?"
test -e /dev/a-disk; echo "devices $?"
unshare --mount true; echo "namespaces $?"
test "$(ls /sys/class/net)" = lo; echo "network $?"
`;

describe('the units under systemd', { skip, timeout: 600_000 }, () => {
  test('run, tell of failures, are confined, outlive an upgrade, and stop when they are removed', async (t) => {
    const scratch = makeScratch('packages');
    t.after(() => removeScratch(scratch));
    const debs = ['--only=deb', '--without-node'];
    const older = await buildPackages(join(scratch, 'older'), [...debs, `--version=${OLDER}`]);
    const newer = await buildPackages(join(scratch, 'newer'), debs);
    const system = new ScratchSystem();
    t.after(() => system.end());
    system.write('/usr/bin/node', `#!/bin/sh\nexec ${process.execPath} "$@"\n`, 0o755);
    const [first = '', second = ''] = system.bring(older.find('sparsebak', '.deb'), newer.find('sparsebak', '.deb'));
    system.succeed('dpkg', '--force-depends', '-i', first);
    firstBackup(system);
    system.write('/etc/sparsebak/receiver.toml', 'root = "/srv/backup"\n');

    system.succeed('mknod', '/dev/a-disk', 'b', '240', '0');

    const booted = new BootedSystem(system);
    t.after(() => booted.end());
    await booted.started();
    const journal = (unit: string) => booted.run('journalctl', '-o', 'cat', '-u', unit).stdout;
    const start = (name: string) => {
      const unit = `sparsebak-${name}.service`;
      booted.run('systemctl', 'start', unit);
      return booted.show(unit, 'Result');
    };

    for (const name of ['monitor', 'send', 'verify', 'scrub']) {
      assert.equal(start(name), 'success', `${name}: ${journal(`sparsebak-${name}.service`)}`);
    }
    assert.match(journal('sparsebak-verify.service'), /sample of 5 % verified/);
    const fields = ['SPARSEBAK_COMMAND=send', 'SPARSEBAK_EVENT=success', 'SPARSEBAK_STATUS=0'];
    assert.equal(booted.run('journalctl', '-o', 'cat', ...fields).stdout, 'send: done\n');
    assert.match(journal('sparsebak-scrub.service'), /host1/);

    // In a backup qube, as the user of its archives. Nothing of it may become root's.
    const settings = 'sparsebak-scrub.service.d/qubes.conf';
    const qubes = readFileSync(join(top, 'qubes-rpc/systemd', settings));
    system.succeed('useradd', '--system', 'user');
    system.succeed('chown', '-R', 'user:', '/srv/backup');
    const overrides = `/etc/systemd/system/${settings}`;
    system.write(overrides, qubes);
    booted.run('systemctl', 'daemon-reload');
    assert.equal(start('scrub'), 'success', journal('sparsebak-scrub.service'));
    assert.equal(system.succeed('find', '/srv/backup', '-user', 'root', '-not', '-name', '.keep'), '');
    system.remove(overrides);

    system.write('/root/forbidden', FORBIDDEN);
    const attempt = '[Service]\nExecStart=\nExecStart=/bin/sh /root/forbidden\n';
    system.write('/etc/systemd/system/sparsebak-scrub.service.d/attempt.conf', attempt);
    booted.run('systemctl', 'daemon-reload');
    assert.equal(start('scrub'), 'success');
    const attempts = journal('sparsebak-scrub.service')
      .match(/^\w+ \d+$/gm)
      ?.map((line) => line.replace(/ [^0]\d*$/, ' refused'));
    assert.deepEqual(attempts, [
      'usr refused',
      'etc refused',
      'archive 0',
      'devices refused',
      'namespaces refused',
      'network 0',
    ]);
    system.succeed('chown', '-R', 'root:', '/srv/backup');

    // A failure is told in the journal, and as the configuration says.
    const config = '/etc/sparsebak/sparsebak.toml';
    const notify = '[notify]\non = "failure"\ncommand = ["/bin/sh", "-c", "cat > /root/notice"]\n';
    system.write(config, `${system.read(config).toString()}${notify}`);
    system.succeed('mv', '/srv/machines/web.img', '/srv/machines/gone');
    assert.equal(start('send'), 'exit-code');
    const told = () => booted.run('journalctl', '-o', 'cat', '-p', 'err', '-t', 'sparsebak').stdout;
    for (let tries = 0; tries < 100 && !told().includes('sparsebak-send.service failed'); tries++) {
      booted.run('sleep', '0.2');
    }
    assert.match(told(), /sparsebak-send\.service failed: journalctl -u sparsebak-send\.service/);
    assert.match(system.read('/root/notice').toString(), /web\.img is not there/);
    system.succeed('mv', '/srv/machines/gone', '/srv/machines/web.img');

    booted.run('systemctl', 'enable', '--now', 'sparsebak-send.timer', 'sparsebak-monitor.timer');
    const active = () => TIMERS.filter((timer) => booted.show(timer, 'ActiveState') === 'active');
    assert.deepEqual(active(), ['sparsebak-monitor.timer', 'sparsebak-send.timer']);
    const since = booted.show('sparsebak-send.timer', 'ActiveEnterTimestampMonotonic');
    assert.equal(booted.run('dpkg', '--force-depends', '-i', second).status, 0);
    assert.deepEqual(active(), ['sparsebak-monitor.timer', 'sparsebak-send.timer']);
    assert.equal(booted.show('sparsebak-send.timer', 'ActiveEnterTimestampMonotonic'), since, 'restarted');
    assert.equal(booted.show('sparsebak-send.timer', 'NeedDaemonReload'), 'no');
    assert.equal(booted.run('dpkg', '-r', 'sparsebak').status, 0);
    assert.deepEqual(active(), []);
    assert.equal(booted.show('sparsebak-send.timer', 'LoadState'), 'not-found');
  });
});
