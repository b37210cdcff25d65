// On a terminal: questions, answers that are not shown, and the line of progress; off one, none of these.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';
import { CLEAR, onTerminal, terminalSkip as skip, type Typed } from './on-terminal.ts';

const plain = ground('plain');
async function emptyLab(t: TestContext): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  lab.write('a.img', new Random('terminal').bytes(3_000_000));
  return await Promise.resolve(lab);
}

describe('on a terminal', { skip }, () => {
  test('a passphrase is asked for twice, never shown, and opens the archive; so does the recovery key', async (t) => {
    const lab = await emptyLab(t);
    const secret = 'páss phräse';
    const { status, shown } = await onTerminal(
      lab,
      ['init'],
      [
        { after: 'Passphrase for the archive: ', type: `${secret}\r` },
        { after: 'Repeat it: ', type: `${secret}\r` },
      ],
    );
    assert.equal(status, 0, shown);
    assert.ok(!shown.includes(secret) && !shown.includes('phr\u00e4'), 'never shown');
    const recoveryKey = /([0-9A-Z]{7}-){7}[0-9A-Z]{7}/.exec(shown)![0];
    const file = join(lab.folder, 'same');
    writeFileSync(file, secret);
    const another = () => new BackupSystem(t, { pools: [], root: lab.root });
    (await another().run(['key', 'unlock', '--passphrase-file', file])).expect(0);
    const typed = await onTerminal(another(), ['key', 'unlock'], [{ after: 'Passphrase: ', type: `${secret}\r` }]);
    assert.equal(typed.status, 0, typed.shown);
    const paper = await onTerminal(
      another(),
      ['key', 'unlock', '--recovery'],
      [{ after: 'Recovery key: ', type: `${recoveryKey}\r` }],
    );
    assert.equal(paper.status, 0, paper.shown);
    assert.ok(!paper.shown.includes(recoveryKey));
    const wrong = await onTerminal(another(), ['key', 'unlock'], [{ after: 'Passphrase: ', type: 'wrong\r' }]);
    assert.equal(wrong.status, 1, wrong.shown);
  });

  test('a slot is removed, and more slots than two are tried, only after a yes', async (t) => {
    const lab = await emptyLab(t);
    await lab.init();
    const secret = (name: string) => {
      const file = join(lab.folder, name);
      writeFileSync(file, name);
      return file;
    };
    for (const name of ['one', 'two', 'zero']) {
      (await lab.run(['key', 'add', name, '--passphrase-file', secret(name)])).expect(0);
    }
    const unlock = (answer: string) =>
      onTerminal(
        new BackupSystem(t, { pools: [], root: lab.root }),
        ['key', 'unlock', '--passphrase-file', secret('zero')],
        [{ after: 'Try them? [y/N]: ', type: answer }],
      );
    const refused = await unlock('\r');
    assert.equal(refused.status, 130, refused.shown);
    const opened = await unlock('y\r');
    assert.equal(opened.status, 0, opened.shown);
    assert.match(opened.shown, /opens neither "one" nor "passphrase"[^]*2 more slots/);
    for (const [answer, status, left] of [
      ['n\r', 130, true],
      ['yes\r', 0, false],
    ] as const) {
      const asked = await onTerminal(
        lab,
        ['key', 'remove', 'two'],
        [{ after: 'Remove slot two? [y/N]: ', type: answer }],
      );
      assert.equal(asked.status, status, asked.shown);
      assert.equal((await lab.run(['key', 'list'])).stdout.includes('two'), left);
    }
  });

  test('two passphrases that differ, an empty one, Ctrl-C and Ctrl-D make nothing', async (t) => {
    const lab = await emptyLab(t);
    const first = { after: 'Passphrase for the archive: ' };
    const cases: [number, Typed[]][] = [
      [
        2,
        [
          { ...first, type: 'one\r' },
          { after: 'Repeat it: ', type: 'two\r' },
        ],
      ],
      [2, [{ ...first, type: '\r' }]],
      [130, [{ ...first, type: 'on\u0003' }]],
      [130, [{ ...first, type: '\u0004' }]],
    ];
    for (const [expected, answers] of cases) {
      const { status, shown } = await onTerminal(lab, ['init'], answers);
      assert.equal(status, expected, shown);
      assert.equal(existsSync(lab.stateDir) && existsSync(join(lab.stateDir, 'archives')), false);
    }
  });

  test('long work shows how far it is on one line, and takes the line away; --json and a pipe see nothing of it', async (t) => {
    const lab = await emptyLab(t);
    await lab.init('--chunk-size', '64K');
    const sent = await onTerminal(lab, ['send', '--full'], []);
    assert.equal(sent.status, 0, sent.shown);
    const [, ...lines] = sent.shown.split(CLEAR);
    assert.match(lines[0]!, /^sending a\.img {2}\d+ %/);
    assert.match(lines.at(-1)!, /^VOLUME.*\n.*\n.*Session S_/s, 'the result begins where the line was');
    const to = join(lab.folder, 'x');
    const restored = await onTerminal(lab, ['restore', 'a.img', '--to', to], []);
    assert.match(restored.shown.split(CLEAR)[1]!, /^restoring a\.img {2}0 % {2}0 B of 2\.86 MiB/);
    assert.ok(readFileSync(to).equals(readFileSync(lab.path('a.img'))));
    const json = await onTerminal(lab, ['verify', '--json'], []);
    assert.ok(!json.shown.includes('\u001b'), json.shown);
    const piped = (await lab.run(['verify'])).expect(0);
    assert.ok(!(piped.stdout + piped.stderr).includes('\r') && piped.stderr === '');
  });

  test('W7 while the receiver takes its time, it says what is waited for and how long yet', async (t) => {
    const lab = await emptyLab(t);
    await lab.init();
    await lab.send('--full');
    const bin = join(lab.folder, 'bin');
    mkdirSync(bin);
    const liar = join(import.meta.dirname, '../fault/hostile-process.ts');
    writeFileSync(join(bin, 'ssh'), `#!/bin/sh\nexec ${process.execPath} ${liar}\n`, { mode: 0o755 });
    lab.configure('', 'ssh://vault/srv');
    const path = `${bin}:${process.env.PATH ?? ''}`;
    lab.env = { ...lab.env, PATH: path, LIE: 'work for some seconds', LIE_ROOT: lab.root };
    const listed = await onTerminal(lab, ['list'], []);
    assert.equal(listed.status, 0, listed.shown);
    const [, ...lines] = listed.shown.split(CLEAR);
    assert.match(
      lines[0]!,
      /^waiting for ssh:\/\/vault\/srv to list the volumes {2}\d.* s, at most 29 min \d+ s more$/,
    );
    assert.match(
      lines.find((line) => line.includes('VOLUME'))!,
      /^VOLUME/,
      'the result begins where the line was',
    );
    const piped = (await lab.run(['list'])).expect(0);
    assert.equal(piped.stderr, '');
  });

  test('W12 a name with control characters moves no cursor', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    const name = 'evil\u001b[2J\u202e\n.img';
    lab.write(name, Buffer.from('x'));
    await lab.init();
    for (const args of [['send', '--full'], ['list'], ['monitor'], ['verify'], ['send', 'no\u001b[31m such']]) {
      const { shown } = await onTerminal(lab, args, []);
      const rest = shown.replaceAll(CLEAR, '');
      assert.ok(!rest.includes('\u001b') && !rest.includes('\u202e'), JSON.stringify(shown));
      const { stdout, stderr } = await lab.run(args);
      assert.ok(!(stdout + stderr).includes('\u001b'));
    }
    assert.ok((await lab.restore(name)).equals(Buffer.from('x')));
  });
});

test('off a terminal nothing asks, and nothing hangs', async (t) => {
  const lab = await emptyLab(t);
  for (const stdin of [undefined, 'an answer nobody asked for\n']) {
    for (const args of [['init'], ['key', 'unlock'], ['key', 'unlock', '--recovery']]) {
      const ran = await lab.run(args, stdin === undefined ? {} : { stdin });
      assert.ok([1, 2].includes(ran.status ?? -1), ran.describe());
    }
  }
  await lab.init();
  (await lab.run(['key', 'add'])).expect(2);
  const other = new BackupSystem(t, { pools: [], root: lab.root });
  assert.match((await other.run(['key', 'unlock'])).expect(2).stderr, /--passphrase-file/);
  assert.match((await other.run(['key', 'unlock', '--recovery'])).expect(2).stderr, /terminal/);
});
