// How many programs are started, and how much metadata is read, for 1, 5 and 20 volumes and for changes that grow.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeFileSync } from 'node:fs';
import { run } from './commands.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';
import { Wrappers } from './wrappers.ts';

const MIB = 1024 * 1024;
const LVM = ['lvm', 'lvs', 'lvcreate', 'lvchange', 'lvremove'];

interface Cost {
  readonly lvm: number;
  readonly all: number;
  /** Of the pool's metadata. KiB. */
  readonly metadata: number;
}

describe('many volumes, and many changes', () => {
  it('cost LVM what one costs, and little more of everything else', (t) => {
    const pool = ThinPool.named('vm-pool');
    const backup = new Backup(t, { pool, volumes: ['v*'] });
    const wrappers = new Wrappers('/tmp/wrappers');
    const names = Array.from({ length: 20 }, (_, index) => `v${index + 1}`);
    const size = (name: string): number => (name === 'v1' ? 64 * MIB : MIB);
    const lines = names.map(
      (name) => `lvcreate -kn -ay --thin -V ${size(name)}b -n ${name} ${pool.group}/${pool.name}`,
    );
    writeFileSync('/tmp/create', ['#!lvm', ...lines, ''].join('\n'));
    run('lvm', '/tmp/create');
    backup.send(['--full']);

    const cost = (what: string, command: (environment: NodeJS.ProcessEnv) => void): Cost => {
      const before = pool.metadataRead();
      command(wrappers.environment());
      const counts = wrappers.counts();
      const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
      const lvm = LVM.reduce((sum, program) => sum + (counts[program] ?? 0), 0);
      const metadata = Math.round((pool.metadataRead() - before) / 2);
      console.log(`${what}: ${all} programs (${JSON.stringify(counts)}), ${metadata} KiB of metadata`);
      return { lvm, all, metadata };
    };
    const monitor = (environment: NodeJS.ProcessEnv, count: number): void => {
      const monitored = backup.monitor(environment);
      assert.equal(monitored.length, count);
      for (const { kind, changedBytes } of monitored) assert.deepEqual([kind, changedBytes], ['monitored', 65536]);
    };
    const monitors: Cost[] = [];
    const sends: Cost[] = [];
    for (const count of [1, 5, 20]) {
      const volumes = names.slice(0, count);
      backup.configure({ pool, volumes });
      const write = (): void => {
        for (const name of volumes) pool.write(name, size(name) - 70_000, Buffer.alloc(10, count));
      };
      write();
      monitors.push(cost(`monitor of ${count} volumes`, (environment) => monitor(environment, count)));
      write();
      sends.push(cost(`send of ${count} volumes`, (environment) => void backup.send([], environment)));
    }
    const lvmCalls = monitors.map(({ lvm }) => lvm);
    // On a slow machine a report of the pool may be too old by the time that it is used: then one more is asked for.
    const [fewest, most] = [Math.min(...lvmCalls), Math.max(...lvmCalls)];
    assert.ok(most <= fewest + 1, `monitor: ${String(lvmCalls)} calls of LVM`);
    const [[monitored, , monitored20], [sent, , sent20]] = [monitors, sends];
    assert.ok(monitored !== undefined && monitored20 !== undefined && sent !== undefined && sent20 !== undefined);
    assert.ok(monitored20.all < 4 * monitored.all, 'monitor starts one program more for each');
    // Both programs, which take locks for each volume; and each volume is activated and put away.
    assert.ok(sent20.all < 9 * sent.all, 'a send starts less than half of what 20 sends would');
    assert.ok(monitored20.metadata < 15 * monitored.metadata, 'and what is read is what differs');

    const changes: Cost[] = [];
    backup.configure({ pool, volumes: ['v1'] });
    for (const spots of [1, 16, 256]) {
      for (let spot = 0; spot < spots; spot++) pool.write('v1', (spot * 64 * MIB) / spots, Buffer.alloc(10, spots));
      changes.push(cost(`monitor of ${spots} changes`, (environment) => void backup.monitor(environment)));
    }
    const programs = changes.map(({ all }) => all);
    assert.ok(Math.max(...programs) <= Math.min(...programs) + 1, `as many, however much changed: ${String(programs)}`);
  });
});
