// What people see: one progress for a whole run, tables that fit their terminal, questions of both programs; and what a
// journal gets.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { ground, type Mounts } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';
import { CLEAR, onTerminal, terminalSkip } from './on-terminal.ts';
import { AGENT, RECEIVER } from './program.ts';

const plain = ground('plain');
const xfs = ground('xfs');
const LONG = 'a-folder-with-a-long-name/and-another-one-in-it-of-some-length/private-volume-of-a-machine.img';
const MIB = 2 ** 20;

async function longLab(t: TestContext, type: 'file' | 'reflink', on: Mounts): Promise<BackupSystem> {
  const random = new Random('width');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type, path: on.folder() }], link: 'local' });
  lab.write('a.img', random.bytes(3 * MIB));
  lab.write(LONG, random.bytes(2 * MIB));
  // All but a fiftieth of it are holes.
  lab.write('sparse.img', random.bytes(4 * MIB));
  truncateSync(lab.path('sparse.img'), 200 * MIB);
  lab.write('empty.img', Buffer.alloc(0));
  await lab.init('--chunk-size', '64K');
  return lab;
}

/** The lines of progress that were shown. */
function progressIn(shown: string): { percent: number; total: number; text: string }[] {
  return shown.split(CLEAR).flatMap((text) => {
    const [, percent, , amount, unit] = /(\d+) % {2}(\S+ \S+) of (\S+) (B|KiB|MiB)/.exec(text) ?? [];
    if (percent === undefined) return [];
    const scale = { B: 1, KiB: 1024, MiB: MIB }[unit as 'B' | 'KiB' | 'MiB'];
    return [{ percent: Number(percent), total: Number(amount) * scale, text }];
  });
}

describe('on a terminal', { skip: terminalSkip }, () => {
  test(
    'progress is that of all volumes, without holes, and never of nothing or over 100 %',
    { skip: xfs.skip },
    async (t) => {
      const lab = await longLab(t, 'reflink', xfs);
      const data = 9 * MIB;
      for (const [args, first] of [
        [['send', '--full'], 'sending a-fol'],
        [['verify'], 'verifying a-fol'],
        [['restore', 'sparse.img', '--to', join(lab.folder, 'x')], 'restoring sparse.img  0 %'],
      ] as const) {
        const { status, shown } = await onTerminal(lab, args, [], { columns: 80 });
        assert.equal(status, 0, shown);
        const lines = progressIn(shown);
        assert.ok(lines.length > 0 && lines[0]!.text.startsWith(first), JSON.stringify(shown));
        for (const { percent, total, text } of lines) {
          assert.ok(percent <= 100 && total > 0, text);
          assert.ok(text.split('\r')[0]!.length < 80, text);
          if (args[0] === 'send') assert.ok(total <= 1.01 * data && total > 0.99 * data, text);
        }
        if (args[0] !== 'restore') assert.match(lines[0]!.text, /\(1 of [34]\)/);
      }
      assert.ok(readFileSync(join(lab.folder, 'x')).equals(readFileSync(lab.path('sparse.img'))));
    },
  );

  test('tables fit 80 columns; in a pipe nothing is cut', async (t) => {
    const lab = await longLab(t, 'file', plain);
    (await lab.run(['send', '--full', '--tag', 'a-tag-that-is-not-short'])).expect(0);
    lab.configure('', lab.destination, [{ ...lab.pools[0]!, volumes: ['**', 'nothing/that/this/pattern/matches/*'] }]);
    for (const command of [['list'], ['status'], ['send'], ['send', '--dry-run'], ['verify'], ['monitor']]) {
      const { shown } = await onTerminal(lab, command, [], { columns: 80 });
      // A terminal wraps what is said of the pattern that matches nothing.
      const lines = shown
        .split(CLEAR)
        .at(-1)!
        .split('\r\n')
        .filter((line) => !/^(sparsebak: | {2}→ )/.test(line));
      for (const line of lines) assert.ok(line.length <= 80, `${command.join(' ')}: ${line}`);
      assert.ok(shown.includes('…') && !shown.includes(LONG), shown);
      assert.ok(!shown.replaceAll(CLEAR, '').includes('\u001b'), 'no colours');
      const piped = (await lab.run(command)).stdout;
      assert.ok(piped.includes(LONG) && !piped.includes('…'));
    }
    const receiver = await onTerminal(lab, ['list', '--root', lab.root], [], { columns: 80, program: RECEIVER });
    for (const line of receiver.shown.split('\r\n')) assert.ok(line.length <= 80, line);
  });

  test('list draws a time line and status an overview; colours only where they are wanted', async (t) => {
    const lab = await longLab(t, 'file', plain);
    (await lab.run(['send', '--full'])).expect(0);
    lab.write('a.img', Buffer.from('changed'));
    (await lab.run(['send'])).expect(0);
    const coloured = { NO_COLOR: '', TERM: 'xterm', LC_ALL: 'C.UTF-8' };
    const shown = async (command: string, env: NodeJS.ProcessEnv) =>
      (await onTerminal(lab, [command], [], { columns: 80, env })).shown.replaceAll(CLEAR, '');
    const plainList = await shown('list', { NO_COLOR: '1', LC_ALL: 'C.UTF-8' });
    assert.match(plainList, /a-folder\S*…\S* +▁ *\r\na\.img +█ +▁ *\r\n/);
    assert.ok(!plainList.includes('\u001b'));
    assert.match(await shown('list', { NO_COLOR: '1', LC_ALL: 'C' }), /\r\na\.img +# +\. *\r\n/);
    assert.ok((await shown('list', coloured)).includes('\u001b[36m█'));
    const status = await shown('status', coloured);
    assert.match(status, /\n4 volumes: 4 saved; .*\r\n/);
    assert.ok(!status.includes('Overdue'), 'an empty volume has no chunk to read back');
    const record = join(lab.stateDir, 'archives', lab.archive, 'last-sent.json');
    const sent = JSON.parse(readFileSync(record, 'utf8')) as { v: 1; volumes: Record<string, number> };
    for (const id of Object.keys(sent.volumes)) sent.volumes[id]! -= 3 * 86_400_000;
    writeFileSync(record, JSON.stringify(sent));
    const late = await shown('status', coloured);
    assert.ok(late.includes('\u001b[31mOverdue: ') && late.includes(' was last sent 3 days ago, and 3 more'), late);
    const piped = await lab.run(['list'], { env: coloured });
    assert.match(piped.stdout, /^VOLUME /);
    assert.ok(!piped.stdout.includes('\u001b'));
  });

  test('prune asks where more than half would go, in both programs', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }], link: 'local' });
    await lab.init('--chunk-size', '64K');
    for (let turn = 0; turn < 4; turn++) {
      lab.write('a.img', Buffer.from(String(turn)));
      await lab.send('--full');
    }
    const prune = ['prune', '--keep-last', '1'];
    const receiver = [...prune, '--root', lab.root];
    const question = 'Prune more than half of a volume at once? [y/N]';
    for (const answer of ['n\r', '\u0004']) {
      const no = await onTerminal(lab, receiver, [{ after: question, type: answer }], { program: RECEIVER });
      assert.equal(no.status, 130, no.shown);
      assert.match(no.shown, /3 of 4 sessions would be pruned/);
    }
    const agent = await onTerminal(lab, prune, [{ after: 'Prune 3 sessions permanently? [y/N]', type: 'n\r' }]);
    assert.equal(agent.status, 130);
    assert.match(agent.shown, /more than half of a\.img: 3 of 4 sessions/);
    await lab.compareAll();
    const yes = await onTerminal(lab, receiver, [{ after: question, type: 'y\r' }], { program: RECEIVER });
    assert.equal(yes.status, 0);
    assert.match(yes.shown, /3 of 4 sessions pruned/);
  });
});

describe('a journal', () => {
  /** Runs a program with its standard error in a file that JOURNAL_STREAM says is the journal, or another. */
  function journalOf(lab: BackupSystem, program: string, args: readonly string[], isJournal = true): string[] {
    const file = join(lab.folder, 'journal');
    writeFileSync(file, '');
    const fd = openSync(file, 'a');
    const { dev, ino } = fstatSync(fd);
    spawnSync(process.execPath, [program, ...args], {
      stdio: ['ignore', 'ignore', fd],
      env: { ...process.env, JOURNAL_STREAM: `${dev}:${isJournal ? ino : ino + 1}` },
    });
    closeSync(fd);
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  }

  test('gets the priority of each line, from both programs; another file gets none', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }], link: 'local' });
    const agent = ['--config', lab.config];
    const failed = journalOf(lab, AGENT, [...agent, 'list']);
    assert.ok(failed.length > 1 && failed.every((line) => line.startsWith('<3>')), failed.join('\n'));
    assert.match(failed[0]!, /^<3>sparsebak: this computer does not know archive "laptop"/);
    assert.match(journalOf(lab, AGENT, [...agent, 'list'], false)[0]!, /^sparsebak: /);
    await lab.init();
    lab.write('a.img', Buffer.from('x'));
    await lab.send('--full');
    const logged = journalOf(lab, AGENT, [...agent, '--log-level', 'info', 'send']);
    assert.match(logged.join('\n'), /^<6>\{"level":30,.*"msg":"compared in full/);
    const receiver = journalOf(lab, RECEIVER, ['list', '--root', '/nowhere/at/all']);
    assert.match(receiver.join('\n'), /^<3>sparsebak-receiver: /);
    const usage = journalOf(lab, RECEIVER, ['prune', '--keep-last', '0']);
    assert.match(usage.join('\n'), /^<3>sparsebak-receiver: option '--keep-last <count>'/);
    const served = journalOf(lab, RECEIVER, ['serve', '--root', lab.root]);
    assert.match(served.join('\n'), /^<3>\{"level":50/);
  });
});
