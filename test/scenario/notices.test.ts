// Who is told how a run ended, and which commands run before and after it.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scratchFor } from '../fixtures/scratch.ts';
import { BackupSystem } from './backup-system.ts';

/** A system of one volume, with these lines in its configuration; NOTES in them is a folder for what hooks write. */
async function systemWith(t: TestContext, lines: string): Promise<{ lab: BackupSystem; notes: string }> {
  const notes = scratchFor(t);
  const pool = { name: 'main', type: 'file', path: scratchFor(t) } as const;
  const lab = new BackupSystem(t, { pools: [pool] });
  lab.write('a.img', Buffer.alloc(300_000, 7));
  await lab.init('--chunk-size', '64K');
  lab.configure(lines.replaceAll('NOTES', notes));
  return { lab, notes };
}

const shell = (script: string) => JSON.stringify(['/bin/sh', '-c', script]);

interface Notice {
  readonly event: string;
  readonly summary: string;
  readonly command: string;
  readonly archive: string | null;
  readonly status: number;
  readonly error?: { readonly code: string };
  readonly overdue: readonly string[];
  readonly report: { readonly volumes?: readonly { readonly name: string }[] } | null;
}

function noticesIn(folder: string): Notice[] {
  const path = join(folder, 'notices');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Notice);
}

const NOTIFY = `[notify]\ncommand = ${shell('cat >> NOTES/notices')}\n`;

describe('a notice', () => {
  it('of each run where all are wanted, with what the command prints as JSON', async (t) => {
    const { lab, notes } = await systemWith(t, `${NOTIFY}on = "always"\n`);
    (await lab.run(['send', '--full'])).expect(0);
    (await lab.run(['monitor'])).expect(0);
    (await lab.run(['verify', '--sample', '50'])).expect(0);
    (await lab.run(['list'])).expect(0);
    (await lab.run(['send', '--dry-run'])).expect(0);
    const told = noticesIn(notes).map(({ command, event, archive, status }) => [command, event, archive, status]);
    assert.deepEqual(told, [
      ['send', 'success', 'laptop', 0],
      ['monitor', 'success', null, 0],
      ['verify', 'success', 'laptop', 0],
    ]);
    assert.equal(noticesIn(notes)[0]?.report?.volumes?.[0]?.name, 'a.img');
  });

  it('of a failure once a day, of another failure at once, and of none after an interruption', async (t) => {
    const { lab, notes } = await systemWith(t, NOTIFY);
    (await lab.run(['send', '--full'])).expect(0);
    assert.deepEqual(noticesIn(notes), [], 'success was not to be told');
    const pool = lab.pools[0]!.path;
    rmSync(join(pool, 'a.img'));
    (await lab.run(['send'])).expect(3);
    (await lab.run(['send'])).expect(3);
    const [missing, ...more] = noticesIn(notes);
    assert.deepEqual(more, [], 'the same is told once');
    assert.equal(missing?.event, 'failure');
    assert.match(missing.summary, /^send ended with status 3: a\.img is not there$/);

    rmSync(lab.root, { recursive: true });
    (await lab.run(['send'])).expect(5);
    const unreachable = noticesIn(notes).at(-1);
    assert.deepEqual([unreachable?.status, unreachable?.error?.code, unreachable?.report], [5, 'refused', null]);
  });

  it('of what is overdue, by what sends have recorded', async (t) => {
    const { lab, notes } = await systemWith(t, `${NOTIFY}on = "overdue"\n[overdue]\nsend = "1h"\n`);
    (await lab.run(['send', '--full'])).expect(0);
    const record = join(lab.stateDir, 'archives/laptop/last-sent.json');
    const sent = JSON.parse(readFileSync(record, 'utf8')) as { volumes: Record<string, number> };
    for (const id of Object.keys(sent.volumes)) sent.volumes[id]! -= 3 * 3_600_000;
    writeFileSync(record, JSON.stringify(sent));
    (await lab.run(['monitor'])).expect(0);
    (await lab.run(['monitor'])).expect(0);
    const told = noticesIn(notes);
    assert.deepEqual(
      told.map(({ event, overdue }) => [event, overdue]),
      [['overdue', ['a.img was last sent 3 hours ago']]],
    );
    (await lab.run(['send'])).expect(0);
    assert.equal(noticesIn(notes).length, 1, 'it is no longer overdue');
  });

  it('of another failure at once, also where only numbers in names differ, and none is kept back by a wrong clock', async (t) => {
    const { lab, notes } = await systemWith(t, NOTIFY);
    lab.write('b1.img', Buffer.alloc(1000, 1));
    lab.write('b2.img', Buffer.alloc(1000, 2));
    (await lab.run(['send', '--full'])).expect(0);
    const pool = lab.pools[0]!.path;
    renameSync(join(pool, 'b1.img'), join(pool, 'aside'));
    (await lab.run(['send', 'b1.img'])).expect(3);
    renameSync(join(pool, 'aside'), join(pool, 'b1.img'));
    rmSync(join(pool, 'b2.img'));
    (await lab.run(['send', 'b2.img'])).expect(3);
    assert.equal(noticesIn(notes).length, 2);
    const memory = join(lab.stateDir, 'notices.json');
    const times = readFileSync(memory, 'utf8').replaceAll(/\d{13}/g, String(Date.now() + 10 * 365 * 86_400_000));
    writeFileSync(memory, times);
    (await lab.run(['send', 'b2.img'])).expect(3);
    assert.equal(noticesIn(notes).length, 3, 'the memory of a notice lies in the future');
  });

  it('of a volume whose last send lies in the future: a clock was wrong', async (t) => {
    const { lab, notes } = await systemWith(t, `${NOTIFY}on = "overdue"\n`);
    (await lab.run(['send', '--full'])).expect(0);
    const record = join(lab.stateDir, 'archives/laptop/last-sent.json');
    writeFileSync(record, readFileSync(record, 'utf8').replaceAll(/\d{13}/g, String(Date.UTC(2099, 0))));
    (await lab.run(['monitor'])).expect(0);
    const overdue = noticesIn(notes).flatMap((notice) => notice.overdue);
    assert.deepEqual(overdue, ['a.img was last sent at a time in the future (2099-01-01T00:00Z: a clock was wrong)']);
  });

  it('that cannot be given makes the run partial, and is given again by the next', async (t) => {
    const { lab, notes } = await systemWith(t, `[notify]\non = "always"\ncommand = ${shell('exit 9')}\n`);
    const { stderr } = (await lab.run(['send', '--full'])).expect(3);
    assert.match(stderr, /the command of \[notify\] ended with exit status 9/);
    lab.configure(`${NOTIFY}on = "always"\n`.replaceAll('NOTES', notes));
    (await lab.run(['send'])).expect(0);
    assert.equal(noticesIn(notes).length, 1);
  });
});

describe('hooks', () => {
  const note = (what: string) => shell(`printf '%s\\n' "$SPARSEBAK_HOOK ${what}" >> NOTES/hooks`);
  const HOOKS = [
    '[hooks]',
    `before_send = ${note('$SPARSEBAK_ARCHIVE')}`,
    `before_volume = ${note('$SPARSEBAK_VOLUME $SPARSEBAK_POOL')}`,
    `after_volume = ${note('$SPARSEBAK_VOLUME')}`,
    `after_send = ${note('$SPARSEBAK_STATUS')}`,
  ].join('\n');
  const hooksIn = (notes: string) => readFileSync(join(notes, 'hooks'), 'utf8').trim().split('\n');

  it('run around the send and around the snapshots, and know what they are for', async (t) => {
    const { lab, notes } = await systemWith(t, HOOKS);
    (await lab.run(['send', '--full'])).expect(0);
    const all = ['before_send laptop', 'before_volume a.img main', 'after_volume a.img', 'after_send 0'];
    assert.deepEqual(hooksIn(notes), all);
    (await lab.run(['send', '--dry-run'])).expect(0);
    assert.deepEqual(hooksIn(notes), all, 'a dry run runs none');
  });

  it('are released and told the status when the send fails', async (t) => {
    const { lab, notes } = await systemWith(t, HOOKS);
    rmSync(lab.root, { recursive: true });
    (await lab.run(['send', '--full'])).expect(5);
    assert.deepEqual(hooksIn(notes), ['before_send laptop', 'after_send 5']);
  });

  it('after_send runs also when before_send was interrupted, which is killed with what it started', async (t) => {
    const slow = `[hooks]\nbefore_send = ${shell('sleep 600 & echo $! > NOTES/child; sleep 600')}\nafter_send = ${note('$SPARSEBAK_STATUS')}\n`;
    const { lab, notes } = await systemWith(t, slow);
    const running = lab.start(['send', '--full']);
    const file = join(notes, 'child');
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(50);
    running.child.kill('SIGINT');
    (await running.ended).expect(130);
    assert.deepEqual(hooksIn(notes), ['after_send 130']);
    const status = `/proc/${readFileSync(file, 'utf8').trim()}/status`;
    const isRunning = existsSync(status) && !/^State:\tZ/m.test(readFileSync(status, 'utf8'));
    assert.ok(!isRunning, 'what the hook started still runs');
  });

  it('that print a lot are quoted by their last line, without what steers a terminal', async (t) => {
    const loud = `[hooks]\nbefore_send = ${shell("yes | head -c 3000000; printf '\\033[2Jno disk\\n' >&2; exit 4")}\n`;
    const { lab } = await systemWith(t, loud);
    const { stdout } = (await lab.run(['send', '--full'])).expect(3);
    assert.ok(stdout.includes('the hook before_send ended with exit status 4: \\u{1b}[2Jno disk'), stdout);
  });

  it('that fail or take too long do not stop the backup, are named, and make it partial', async (t) => {
    const failing = `[hooks]\nbefore_send = ${shell('echo no disk >&2; exit 4')}\ntime_limit = 1\nafter_volume = ${shell('sleep 600 & sleep 600')}\n`;
    const { lab } = await systemWith(t, failing);
    const ran = (await lab.run(['--json', 'send', '--full'])).expect(3);
    const { session, hooks } = JSON.parse(ran.stdout) as {
      session: string | null;
      hooks: readonly { hook: string; volume?: string; error: { message: string } }[];
    };
    assert.ok(session !== null, 'the backup was made');
    assert.deepEqual(
      hooks.map(({ hook, volume, error }) => [hook, volume, error.message]),
      [
        ['before_send', undefined, 'the hook before_send ended with exit status 4: no disk'],
        ['after_volume', 'a.img', 'the hook after_volume for a.img did not end within 1 s'],
      ],
    );
    const restored = await lab.restore('a.img', session);
    assert.ok(restored.equals(Buffer.alloc(300_000, 7)));
  });
});

it('a metrics file that cannot be written is named with its remedy; one that can is readable for the exporter', async (t) => {
  const { lab, notes } = await systemWith(t, `metrics_file = "NOTES/missing/sparsebak.prom"\n`);
  const { stderr } = (await lab.run(['monitor'])).expect(3);
  assert.match(stderr, /the metrics file cannot be written: .*missing\/sparsebak\.prom/);
  lab.configure(`metrics_file = "${notes}/sparsebak.prom"\n`);
  // As in the services.
  const umask = process.umask(0o077);
  try {
    (await lab.run(['monitor'])).expect(0);
  } finally {
    process.umask(umask);
  }
  assert.equal(statSync(join(notes, 'sparsebak.prom')).mode & 0o777, 0o644);
  assert.deepEqual(readdirSync(notes), ['sparsebak.prom']);
});

it('the metrics file has the last runs and each volume, in the format of Prometheus', async (t) => {
  const { lab, notes } = await systemWith(t, 'metrics_file = "NOTES/sparsebak.prom"\n');
  lab.write('b "quoted\\".img', Buffer.alloc(1000, 1));
  (await lab.run(['send', '--full'])).expect(0);
  (await lab.run(['monitor'])).expect(0);
  const lines = readFileSync(join(notes, 'sparsebak.prom'), 'utf8').trimEnd().split('\n');
  for (const line of lines) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+\{(\w+="([^"\\\n]|\\[\\"n])*",?)+\} -?\d+(\.\d+)?)$/);
  }
  const value = (sample: string) =>
    Number(
      lines
        .find((line) => line.startsWith(sample))
        ?.split(' ')
        .at(-1),
    );
  assert.equal(value('sparsebak_run_status{archive="laptop",command="send"}'), 0);
  assert.ok(
    Math.abs(value('sparsebak_run_timestamp_seconds{archive="laptop",command="monitor"}') * 1000 - Date.now()) <
      3_600_000,
  );
  assert.equal(value('sparsebak_volume_overdue{archive="laptop",volume="b \\"quoted\\\\\\".img"}'), 0);
});

it('a desktop notice goes to the session bus of the user who is logged in, as that user', async (t) => {
  const { showOnDesktops } = await import('../../dom0-agent/runs/desktop.ts');
  const folder = scratchFor(t);
  const uid = process.getuid?.() === 0 ? 12_345 : (process.getuid?.() ?? 0);
  const { chownSync, chmodSync } = await import('node:fs');
  const { createServer } = await import('node:net');
  const home = join(folder, String(uid));
  mkdirSync(home);
  const bus = createServer().listen(join(home, 'bus'));
  t.after(() => bus.close());
  chmodSync(folder, 0o755);
  if (process.getuid?.() === 0) chownSync(home, uid, uid);
  // A stand-in for notify-send(1): no desktop runs here.
  const bin = scratchFor(t);
  chmodSync(bin, 0o755);
  const script = `#!/bin/sh\n{ id -u; printf '%s\\n' "$DBUS_SESSION_BUS_ADDRESS" "$@"; } > ${home}/shown\necho "$SECRET_OF_ROOT" > ${home}/secret\n`;
  writeFileSync(join(bin, 'notify-send'), script, { mode: 0o755 });
  const path = process.env.PATH;
  process.env.PATH = `${bin}:${path ?? ''}`;
  t.after(() => (process.env.PATH = path));
  process.env.SECRET_OF_ROOT = 'x';
  t.after(() => delete process.env.SECRET_OF_ROOT);
  const failures = await showOnDesktops({ isUrgent: true, summary: 'send failed\u001b[0m: <b>&' }, folder);
  assert.deepEqual(failures, []);
  const [shownBy, address, ...args] = readFileSync(join(home, 'shown'), 'utf8').trim().split('\n');
  assert.deepEqual([shownBy, address], [String(uid), `unix:path=${home}/bus`]);
  assert.equal(args.at(-1), 'send failed\\u{1b}[0m: &lt;b&gt;&amp;');
  assert.equal(readFileSync(join(home, 'secret'), 'utf8'), '\n', "the user's process has root's environment");
});
