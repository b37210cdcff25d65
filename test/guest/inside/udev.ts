// A real udev beside LVM, with LVM's and device-mapper's rules in either order that distributions have them, and a rule
// of somebody else: what that one gets to do with a snapshot while it is read, without our rule and with it (A
// snapshot's content is not trusted).

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { snapshotOf } from '../../dom0-agent/source/conformance.ts';
import { run, succeeds } from './commands.ts';
import { GROUP, ThinPool } from './thin-pool.ts';

const RULES = '/run/udev/rules.d';
const FOREIGN = '/tmp/foreign';
const LOG = join(FOREIGN, 'log');
const UUID = '3c1d6a52-0b11-4a7e-9b7c-6d1f0e5a2b90';
const BY_UUID = `/dev/disk/by-uuid/${UUID}`;
const MIB = 1024 * 1024;

/** Where the same rules are in Debian, and where they are upstream and in Fedora (so in dom0). */
const ORDERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Debian: {},
  Fedora: {
    '55-dm.rules': '10-dm.rules',
    '56-lvm.rules': '11-dm-lvm.rules',
    '60-persistent-storage-dm.rules': '13-dm-disk.rules',
    '69-lvm.rules': '69-dm-lvm.rules',
  },
};

/** One that asks whether it may, and one that does not. */
const FOREIGN_RULES = [
  `SUBSYSTEM=="block", KERNEL=="dm-*", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}!="1", PROGRAM="${FOREIGN}/trace asked $env{DM_NAME} type=$env{ID_FS_TYPE}"`,
  `SUBSYSTEM=="block", KERNEL=="dm-*", RUN+="${FOREIGN}/trace ran $env{DM_NAME} type=$env{ID_FS_TYPE}"`,
];

class Udev {
  readonly #daemon: ChildProcess;

  private constructor(daemon: ChildProcess) {
    this.#daemon = daemon;
  }

  static async start(test: TestContext, order: Readonly<Record<string, string>>): Promise<Udev> {
    rmSync('/run/udev', { recursive: true, force: true });
    mkdirSync(RULES, { recursive: true });
    mkdirSync(FOREIGN, { recursive: true });
    for (const file of readdirSync('/opt/udev'))
      copyFileSync(join('/opt/udev', file), join(RULES, order[file] ?? file));
    writeFileSync(join(RULES, '70-foreign.rules'), `${FOREIGN_RULES.join('\n')}\n`);
    writeFileSync(join(FOREIGN, 'trace'), `#!/bin/sh\necho "$ACTION $*" >> ${LOG}\n`, { mode: 0o755 });
    // LVM as it is where udev is: it leaves links to the rules, and waits for them.
    const lvm = join(FOREIGN, 'lvm');
    mkdirSync(lvm, { recursive: true });
    const usual = readFileSync('/etc/lvm/lvm.conf', 'utf8');
    writeFileSync(
      join(lvm, 'lvm.conf'),
      usual.replace('udev_sync = 0', 'udev_sync = 1').replace('udev_rules = 0', 'udev_rules = 1'),
    );
    const daemon = spawn('systemd-udevd', ['--resolve-names=never', '--children-max=1'], { stdio: ['ignore', 2, 2] });
    const ended = once(daemon, 'exit');
    process.env.LVM_SYSTEM_DIR = lvm;
    test.after(async () => {
      delete process.env.LVM_SYSTEM_DIR;
      daemon.kill();
      await ended;
      rmSync('/run/udev', { recursive: true });
      rmSync(FOREIGN, { recursive: true });
    });
    while (!existsSync('/run/udev/control')) {
      assert.equal(daemon.exitCode, null, 'udev did not start');
      await delay(20);
    }
    return new Udev(daemon);
  }

  /** What is installed in dom0, or by hand. */
  installOwnRule(): void {
    copyFileSync('/suite/12-sparsebak.rules', join(RULES, '12-sparsebak.rules'));
    run('udevadm', 'control', '--reload');
  }

  /** What the foreign rules did from now on, by the device's name. */
  async traces(work: () => Promise<void>): Promise<string[]> {
    this.settle();
    rmSync(LOG, { force: true });
    await work();
    this.settle();
    assert.equal(this.#daemon.exitCode, null);
    return existsSync(LOG) ? readFileSync(LOG, 'utf8').trim().split('\n') : [];
  }

  settle(): void {
    run('udevadm', 'settle', '--timeout=120');
  }
}

/** What udev knows of a device. */
function properties(device: string): string[] {
  return run('udevadm', 'info', '--query=property', `--name=${device}`).trim().split('\n');
}

describe('a snapshot that is read, beside udev', () => {
  for (const [distribution, order] of Object.entries(ORDERS)) {
    it(`is looked into by anybody’s rule without ours, and by none with it: rules as in ${distribution}`, async (t) => {
      const pool = ThinPool.named('vm-pool');
      t.after(() => pool.clear());
      pool.create('v', 8 * MIB);
      run('mkfs.ext4', '-q', '-F', '-U', UUID, pool.path('v'));
      const snapshot = await snapshotOf(pool.source, 'v');
      const name = pool.ownSnapshots()[0]!.name;
      const device = `/dev/mapper/${GROUP}-${name.replaceAll('-', '--')}`;
      const udev = await Udev.start(t, order);
      const again = (): void => {
        run('lvchange', '-an', `${GROUP}/v`);
        run('lvchange', '-ay', `${GROUP}/v`);
      };
      const read = async (look: () => void): Promise<void> => {
        const opened = await pool.source.open(snapshot);
        udev.settle();
        look();
        // As a program would that asks udev for everything again.
        for (const action of ['change', 'add'])
          run('udevadm', 'trigger', `--action=${action}`, `--name-match=${device}`);
        udev.settle();
        await opened.close();
      };
      const ofSnapshot = (traces: readonly string[]): string[] =>
        traces.filter((line) => line.includes('vm--sparsebak'));

      const without = ofSnapshot(
        await udev.traces(() =>
          read(() => {
            assert.ok(properties(device).includes(`ID_FS_UUID=${UUID}`), 'blkid read it');
            assert.ok(existsSync(`/dev/disk/by-id/dm-name-${device.slice('/dev/mapper/'.length)}`));
          }),
        ),
      );
      assert.ok(
        without.some((line) => /^change asked .* type=ext4$/.test(line)),
        without.join('\n'),
      );
      assert.ok(
        without.some((line) => /^change ran .* type=ext4$/.test(line)),
        without.join('\n'),
      );

      udev.installOwnRule();
      const own = await udev.traces(async () => {
        again();
        await read(() => {
          const known = properties(device);
          assert.ok(!known.some((line) => line.startsWith('ID_FS_') || line.startsWith('ID_PART_')), known.join('\n'));
          for (const line of ['UDISKS_IGNORE=1', 'SYSTEMD_READY=0', 'DM_UDEV_DISABLE_OTHER_RULES_FLAG=1'])
            assert.ok(known.includes(line), `${line}: ${known.join('\n')}`);
          assert.ok(!existsSync(`/dev/disk/by-id/dm-name-${device.slice('/dev/mapper/'.length)}`));
          // What leads to the volume goes on leading there, and not to its snapshot.
          assert.equal(run('readlink', '-f', BY_UUID), run('readlink', '-f', pool.path('v')));
        });
      });
      assert.deepEqual(ofSnapshot(own), []);
      assert.ok(
        own.some((line) => /^change ran .*-v type=ext4$/.test(line)),
        `others are as before: ${own.join('\n')}`,
      );
      assert.ok(!succeeds('test', '-e', device), 'it is put away');
      assert.doesNotMatch(run('dmsetup', 'udevcookies'), /0x/, 'LVM waits for nothing');
    });
  }
});
