// systemd's own judgement of the units, and what they run, run by hand: systemd is not process 1 where tests run.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { scratchFor } from '../fixtures/scratch.ts';
import { top } from './built.ts';

const folder = join(top, 'qubes-rpc/systemd');
const units = readdirSync(folder).filter((name) => /\.(service|timer)$/.test(name));
const services = units.filter((name) => name.endsWith('.service'));
const timers = units.filter((name) => name.endsWith('.timer'));
const skip =
  spawnSync('systemd-analyze', ['--version']).error === undefined ? false : 'machine: no systemd-analyze (systemd)';

const text = (unit: string) => readFileSync(join(folder, unit), 'utf8');
const field = (unit: string, name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text(unit))?.[1];

describe('systemd units', () => {
  test('are those of the documented list', () => {
    assert.deepEqual(units, [
      'sparsebak-failed@.service',
      'sparsebak-monitor.service',
      'sparsebak-monitor.timer',
      'sparsebak-scrub.service',
      'sparsebak-scrub.timer',
      'sparsebak-send.service',
      'sparsebak-send.timer',
      'sparsebak-verify.service',
      'sparsebak-verify.timer',
    ]);
  });

  test('are accepted by systemd without a remark', { skip }, (t) => {
    const scratch = scratchFor(t);
    // It looks for the programs of ExecStart below this root.
    for (const place of ['usr/bin', 'etc/systemd/system', 'usr/lib/systemd']) {
      mkdirSync(join(scratch, place), { recursive: true });
    }
    for (const program of ['sparsebak', 'sparsebak-receiver', 'logger', 'sh']) {
      writeFileSync(join(scratch, 'usr/bin', program), '#!/bin/sh\n', { mode: 0o755 });
    }
    symlinkSync('usr/bin', join(scratch, 'bin'));
    cpSync('/usr/lib/systemd/system', join(scratch, 'usr/lib/systemd/system'), { recursive: true });
    cpSync(folder, join(scratch, 'usr/lib/systemd/system'), { recursive: true });
    const names = units.map((name) => name.replace('@.', '@sparsebak-send.service.'));
    const args = [`--root=${scratch}`, '--man=no', '--recursive-errors=one', 'verify', ...names];
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    const remarks = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('sparsebak'));
    assert.deepEqual(remarks, []);
    assert.equal(status, 0, stderr);
  });

  test('tell of a failure, write no core, and step back for other work', () => {
    for (const service of services.filter((name) => !name.includes('@'))) {
      assert.equal(field(service, 'OnFailure'), 'sparsebak-failed@%n.service', service);
      assert.equal(field(service, 'LimitCORE'), '0', service);
      assert.equal(field(service, 'IOSchedulingClass'), 'idle', service);
      assert.ok(Number(field(service, 'Nice')) >= 10, service);
      assert.equal(field(service, 'Type'), 'oneshot', service);
      assert.match(text(service), /^TimeoutStartSec=(infinity|1h)$/m, service);
    }
  });

  test('start at times that systemd can read, each as often as the documentation says', { skip }, () => {
    const hours: Record<string, [least: number, most: number]> = {
      'sparsebak-monitor.timer': [1 / 3, 1 / 3],
      'sparsebak-send.timer': [24, 24],
      'sparsebak-verify.timer': [168, 168],
      'sparsebak-scrub.timer': [28 * 24, 31 * 24],
    };
    assert.deepEqual(timers.sort(), Object.keys(hours).sort());
    for (const [timer, [least, most]] of Object.entries(hours)) {
      const args = ['calendar', '--iterations=3', field(timer, 'OnCalendar') ?? ''];
      const { stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
      const dates = [...stdout.matchAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= UTC)/g)].map(([at]) => Date.parse(`${at}Z`));
      assert.ok(dates.length >= 3, stdout);
      for (const [index, date] of dates.slice(1).entries()) {
        const apart = (date - (dates[index] ?? 0)) / 3_600_000;
        assert.ok(apart >= least - 1e-6 && apart <= most + 1e-6, `${timer}: ${String(apart)} hours`);
      }
      assert.equal(field(timer, 'WantedBy'), 'timers.target');
    }
  });

  test('are off until a user enables them', () => {
    const rules = readFileSync(join(folder, '80-sparsebak.preset'), 'utf8')
      .split('\n')
      .filter((line) => /^[^#]/.test(line));
    assert.deepEqual(rules, ['disable sparsebak-*']);
  });

  test('prune with the send, if and only if the configuration has a retention policy', (t) => {
    const scratch = scratchFor(t);
    const config = join(scratch, 'sparsebak.toml');
    const program = join(scratch, 'sparsebak');
    writeFileSync(program, '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const [, script = ''] = /^\/bin\/sh -c '(.*)'$/.exec(field('sparsebak-send.service', 'ExecStart') ?? '') ?? [];
    // As systemd reads it: $$ is a dollar.
    const line = script
      .replaceAll('$$', '$')
      .replace('/etc/sparsebak/sparsebak.toml', config)
      .replace('/usr/bin/sparsebak', program);
    const runs = () => spawnSync('sh', ['-c', line], { encoding: 'utf8' }).stdout.trim();
    assert.equal(runs(), 'send');
    for (const [toml, expected] of [
      ['archive = "a"\n', 'send'],
      ['# [retention]\n# retention = {}\narchive = "retention"\n', 'send'],
      ['archive = "a"\n[retention]\nkeep_daily = 7\n', 'send --autoprune'],
      ['  [ retention ]\n', 'send --autoprune'],
      ['retention = { keep_daily = 7 }\n', 'send --autoprune'],
      ['retention.keep_daily = 7\n', 'send --autoprune'],
    ] as const) {
      writeFileSync(config, toml);
      assert.equal(runs(), expected, toml);
    }
  });
});
