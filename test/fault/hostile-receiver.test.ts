// The real agent against a receiver that lies to it, in ssh's place: it ends with the exit status that says so, in
// bounded memory and time, nothing unfit reaches the terminal, no wrong bytes reach a target, and no send builds on the
// lie.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { listDocument, sendDocument, verifyDocument } from '../scenario/documents.ts';
import { interposedAgent, type Ran, type RunOptions } from '../scenario/program.ts';
import { TamperedArchive, MODES } from './tampered-archive.ts';
import { limit } from '../fixtures/limits.ts';

/** Bytes of memory that the agent may ever hold (I7). */
const CAP = 200 * 2 ** 20;
/** A lie that keeps the agent busy for longer than this has made it hang. */
const LIMIT = 60_000;

/** Everything a terminal would act on, and not line ends. */
// eslint-disable-next-line no-control-regex
const UNFIT = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;

class Court {
  readonly ground: TamperedArchive;
  readonly #bin: string;
  readonly #peak: string;
  readonly peaks: number[] = [];
  told = 0;

  constructor(ground: TamperedArchive) {
    this.ground = ground;
    const { lab } = ground;
    this.#bin = join(lab.folder, 'bin');
    this.#peak = join(lab.folder, 'peak');
    mkdirSync(this.#bin);
    const liar = join(import.meta.dirname, 'hostile-process.ts');
    writeFileSync(join(this.#bin, 'ssh'), `#!/bin/sh\nexec ${process.execPath} ${liar}\n`, { mode: 0o755 });
    const note = join(lab.folder, 'note-peak.mjs');
    writeFileSync(
      note,
      `import { readFileSync, appendFileSync } from 'node:fs';
       import { isMainThread } from 'node:worker_threads';
       if (isMainThread && process.env.PEAK_OF === String(process.ppid)) process.on('exit', () => {
         const [, kib] = /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
         appendFileSync(${JSON.stringify(this.#peak)}, kib + '\\n');
       });\n`,
    );
    this.#options = {
      env: {
        PATH: `${this.#bin}:${process.env.PATH ?? ''}`,
        LIE_ROOT: lab.root,
        NODE_OPTIONS: `--import=${pathToFileURL(note).href}`,
        PEAK_OF: String(process.pid),
      },
    };
  }

  readonly #options: RunOptions;

  /** The agent with a receiver that tells this lie. */
  async tell(lie: string, args: readonly string[], given = ''): Promise<Ran> {
    const { lab } = this.ground;
    lab.configure('initial = "full"', 'ssh://vault/srv');
    const began = Date.now();
    const ran = await lab.run(args, { ...this.#options, env: { ...this.#options.env, LIE: lie, LIE_WITH: given } });
    lab.configure('initial = "full"');
    const took = Date.now() - began;
    assert.ok(took < limit(LIMIT), `${lie}: ${took} ms; ${ran.describe()}`);
    assert.notEqual(ran.status, null, ran.describe());
    assert.doesNotMatch(ran.stderr, UNFIT, `W12 ${lie}`);
    assert.doesNotMatch(ran.stdout, UNFIT, `W12 ${lie}`);
    assert.ok(ran.stderr.length < 10_000, `${lie}: ${ran.stderr.length} characters of errors`);
    assert.doesNotMatch(ran.stderr, /unhandled|TypeError|RangeError|at file:/i, ran.describe());
    const kib = readFileSync(this.#peak, 'utf8').trim().split('\n').map(Number);
    rmSync(this.#peak);
    assert.equal(kib.length, 1);
    this.peaks.push(kib[0]! * 1024);
    assert.ok(kib[0]! * 1024 < CAP, `I7 ${lie}: ${kib[0]} KiB`);
    this.told++;
    return ran;
  }

  /** Restores a session of a.img; there is a target only if it is right. */
  async restore(lie: string, session: number | undefined, given = ''): Promise<Ran> {
    const { lab, sessions } = this.ground;
    const to = join(lab.folder, 'out');
    const which = session === undefined ? [] : ['--session', sessions[session]!];
    const ran = await this.tell(lie, ['restore', 'a.img', '--to', to, ...which], given);
    if (ran.status === 0) {
      const kept = lab.kept.get('a.img')!.get(sessions[session ?? 2]!)!;
      assert.ok(readFileSync(to).equals(readFileSync(kept)), `I1 ${lie}`);
      rmSync(to);
    }
    const left = readdirSync(lab.folder).filter((name) => name.startsWith('out'));
    assert.deepEqual(left, [], `I1 ${lie}: nothing is left at the target`);
    return ran;
  }
}

type Command = 'list' | 'restore' | 'verify' | 'send' | 'key list';

/** Each lie told to one command, and the exit statuses that it may have. */
const TOLD: readonly (readonly [lie: string, command: Command, ...status: number[]])[] = [
  ['endless volumes', 'list', 5],
  ['endless volumes', 'send', 5],
  ['endless volumes without sessions', 'list', 5],
  ['endless sessions', 'list', 5],
  ['endless sessions', 'send', 5],
  ['endless heads', 'list', 4, 5],
  ['endless heads', 'restore', 5],
  ['endless catalogue', 'list', 5],
  ['endless catalogue of single bytes', 'list', 5],
  ['endless index of single bytes', 'restore', 5],
  ['endless page of single bytes', 'send', 5],
  ['endless page of single bytes', 'verify', 5],
  ['endless chunks', 'restore', 5],
  ['endless slots', 'key list', 5],
  ['endless work', 'list', 5],
  ['endless work on a send', 'send', 5],
  ['endless banner', 'list', 5],
  ['endless errors on the side', 'list', 5],
  ['a frame of 4 GiB', 'list', 5],
  ['a map of maps', 'list', 5],
  ['escapes in an error', 'list', 5],
  ['escapes in the release', 'send', 5],
  ['escapes in a message of no known type', 'list', 5],
  ['escapes in a field', 'list', 5],
  ['escapes ahead of the magic', 'list', 5],
  ['escapes in a session’s name', 'list', 5],
  ['another archive', 'send', 4],
  ['another chunk size', 'restore', 4],
  ['an archive in the clear', 'send', 4],
  ['no such archive', 'send', 4],
  ['no such archive', 'list', 4],
  ['no catalogue', 'list', 4],
  ['no volumes', 'list', 4],
  ['no volumes', 'verify', 4],
  ['no volumes', 'send', 4],
  ['heads twice', 'restore', 5],
  ['heads twice', 'list', 5],
  ['pages of another range', 'restore', 4],
  ['pages of another range', 'send', 4],
  ['chunks at other addresses', 'restore', 5],
  ['chunks left out', 'restore', 5],
  ['an error for each chunk', 'restore', 4],
  // It was answered in full.
  ['more after bye', 'list', 0],
  ['the greeting twice', 'list', 5],
  ['stale base', 'send', 5],
];

/** What the send does without: it says so, and makes a session that is right. */
const HEALED = new Set(['pages of another range']);

const ARGUMENTS: Readonly<Record<Exclude<Command, 'restore'>, readonly string[]>> = {
  list: ['list'],
  verify: ['verify', 'a.img'],
  send: ['send'],
  'key list': ['key', 'list'],
};

test('I7 W5 W6 W8 W12 lies to each command', { timeout: limit(900_000) }, async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  let before = ground.stored();
  for (const [lie, command, ...statuses] of TOLD) {
    await t.test(`${lie}, to ${command}`, async () => {
      if (command === 'send') edit(ground);
      const ran =
        command === 'restore' ? await court.restore(lie, undefined) : await court.tell(lie, ARGUMENTS[command]);
      assert.ok(statuses.includes(ran.status!), ran.describe());
      const now = ground.stored().filter((name) => !name.includes('.tmp'));
      if (command === 'send' && HEALED.has(lie)) {
        assert.ok(now.length > before.length);
        before = now;
        await newestIsExact(ground);
      } else assert.deepEqual(now, before, 'nothing was built on it');
    });
  }
  await t.test('I9 and then all is as before, and the next send needs nothing special', async () => {
    (await ground.lab.run(['send'])).expect(0);
    await newestIsExact(ground);
    for (const { status } of await ground.restoreAll()) assert.equal(status, 0);
  });
  t.diagnostic(`${court.told} lies, peak ${Math.round(Math.max(...court.peaks) / 2 ** 20)} MiB`);
  assert.ok(court.told >= TOLD.length);
});

function edit({ lab, random }: TamperedArchive): void {
  const now = readFileSync(lab.path('a.img'));
  random.bytes(100).copy(now, 1000);
  lab.write('a.img', now);
}

async function newestIsExact(ground: TamperedArchive): Promise<void> {
  const archive = await ground.open();
  try {
    for (const { name, session } of archive.pinned.catalogue.volumes) {
      const { status, message } = await ground.restoreOne(archive, name, session!, ground.lab.path(name));
      assert.equal(status, 0, message);
    }
  } finally {
    archive.client.close();
  }
}

test('A7 A8 I7 sessions and volumes that were made up are one complaint, and are left out', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  for (const lie of ['made-up sessions', 'made-up volumes']) {
    const listed = (await court.tell(lie, ['list', '--json'])).expect(4);
    assert.ok(listed.stderr.split('\n').length <= 4, listed.stderr);
    assert.ok(listed.stdout.length < 20_000, `${listed.stdout.length} characters`);
    const { volumes } = listed.json(listDocument);
    assert.deepEqual(
      volumes.map(({ sessions }) => sessions.length),
      [3, 2, 2],
      'what is proven is shown all the same',
    );
  }
  const verified = (await court.tell('made-up sessions', ['verify', '--all-sessions', '--json'])).expect(4);
  const { sessions } = verified.json(verifyDocument);
  assert.equal(sessions.filter(({ error }) => error === undefined).length, 7);
  const failed = sessions.filter(({ error }) => error !== undefined);
  assert.ok(failed.length <= 102, `${failed.length} rows`);
  assert.equal(
    failed.reduce((sum, { alike = 0 }) => sum + 1 + alike, 0),
    60 * 1024,
  );
  assert.ok(verified.stderr.split('\n').length < 40, verified.stderr);
  // It is no reason to send nothing.
  edit(ground);
  (await court.tell('made-up sessions', ['send'])).expect(0);
  await newestIsExact(ground);
});

test('A8 damage everywhere, by the receiver’s word: a send repairs for a while, says it once, and ends with 4', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  edit(ground);
  const sent = (await court.tell('damage everywhere', ['send', '--json'])).expect(4);
  assert.ok(sent.stderr.split('\n').length < 12, sent.stderr);
  const { volumes } = sent.json(sendDocument);
  const left = volumes.reduce((sum, { damage }) => sum + (damage?.left ?? 0), 0);
  // 1024 of the two thousand chunks that there are.
  assert.ok(left > 1000, JSON.stringify(volumes));
  await newestIsExact(ground);
  (await ground.lab.run(['send'])).expect(0);
});

test('A5 W6 an older head in another one’s place', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  const older = `${ground.sessions[0]!}|${join(ground.session('a.img', ground.sessions[0]!), 'head')}`;
  for (const lie of ['the older head first', 'the older head in its place']) {
    for (const session of [undefined, 1]) {
      const ran = await court.restore(lie, session, older);
      assert.ok([4, 5].includes(ran.status!), ran.describe());
    }
    const before = ground.stored();
    edit(ground);
    const ran = await court.tell(lie, ['send'], older);
    assert.ok([4, 5].includes(ran.status!), ran.describe());
    assert.deepEqual(ground.stored(), before);
  }
  (await ground.lab.run(['send'])).expect(0);
  await newestIsExact(ground);
});

test('A5 an older catalogue, to the writer, to a dom0 that only reads, and to a fresh one', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const { lab } = ground;
  const court = new Court(ground);
  const older = join(ground.asOf(ground.sessions[1]!), 'catalogue');
  for (const args of [['list'], ['verify'], ['send'], ['key', 'list']]) {
    const ran = await court.tell('the older catalogue', args, older);
    assert.equal(ran.status, 4, ran.describe());
  }
  // A dom0 that has taken the archive in has seen how far it was.
  const passphrase = ['--passphrase-file', join(lab.folder, 'passphrase')];
  const own = join(lab.folder, 'writer');
  cpSync(ground.state, own, { recursive: true });
  rmSync(ground.state, { recursive: true });
  const unlocked = (await lab.run(['key', 'unlock', '--json', ...passphrase])).expect(0);
  const { sequence } = JSON.parse(unlocked.stdout) as { sequence: number };
  (await lab.run(['list'])).expect(0);
  assert.equal((await court.tell('the older catalogue', ['list'], older)).status, 4);
  assert.equal((await court.tell('the older catalogue', ['verify'], older)).status, 4);
  // A fresh one cannot know; what it shows is for people to compare.
  rmSync(ground.state, { recursive: true });
  const fresh = await court.tell('the older catalogue', ['key', 'unlock', '--json', ...passphrase], older);
  assert.ok((JSON.parse(fresh.expect(0).stdout) as { sequence: number }).sequence < sequence);
  // Meanwhile the writer went on: a reading dom0 takes what is newer.
  rmSync(ground.state, { recursive: true });
  cpSync(own, ground.state, { recursive: true });
  edit(ground);
  (await lab.run(['send'])).expect(0);
  rmSync(own, { recursive: true });
  cpSync(ground.state, own, { recursive: true });
  rmSync(ground.state, { recursive: true });
  (await lab.run(['key', 'unlock', ...passphrase])).expect(0);
  (await lab.run(['list'])).expect(0);
  // It may not write.
  assert.equal((await lab.run(['send'])).status, 5);
});

test('A7 a session of the year 9999 does not use up the names', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  edit(ground);
  (await court.tell('a session of the year 9999', ['send'])).expect(0);
  const { volumes } = (await ground.lab.run(['list', '--json'])).expect(0).json(listDocument);
  assert.ok(volumes.every(({ sessions }) => sessions.every(({ session }) => session < 'S_2100')));
  await newestIsExact(ground);
});

test('I2 a commit, or a catalogue, that is answered and not made', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  const lies = [
    ['done to a commit that is not made', 4],
    // The catalogue is not read back: the next command compares it with the pin.
    ['done to a catalogue that is not put', 0],
  ] as const;
  for (const [lie, status] of lies) {
    ground.reset();
    edit(ground);
    (await court.tell(lie, ['send'])).expect(status);
    for (const args of [['list'], ['verify'], ['send']]) {
      const ran = await ground.lab.run(args);
      assert.equal(ran.status, 4, ran.describe());
    }
    (await ground.lab.run(['send', '--accept-rollback'])).expect(0);
    (await ground.lab.run(['list'])).expect(0);
    await newestIsExact(ground);
  }
});

test('A13 chunks that were taken and not kept are missed at once', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  edit(ground);
  const ran = (await court.tell('chunks are thrown away', ['send', '--json'])).expect(4);
  const { volumes } = ran.json(sendDocument);
  assert.match(volumes.find(({ error }) => error !== undefined)?.error?.message ?? '', /cannot be read back/);
  assert.deepEqual(
    volumes.map(({ name, kind, error }) => [name, kind, error?.code]).filter(([, kind]) => kind !== 'unchanged'),
    [['a.img', 'incremental', 'integrity']],
  );
});

test('L18 an error to a commit that was made: the head decides', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const court = new Court(ground);
  edit(ground);
  const before = ground.stored().length;
  const ran = await court.tell('an error to a commit that was made', ['send']);
  assert.ok([3, 5].includes(ran.status!), ran.describe());
  assert.equal(ground.stored().length, before + 1);
  // Nothing special is needed, and nothing is sent twice.
  (await ground.lab.run(['send'])).expect(0);
  (await ground.lab.run(['list'])).expect(0);
  await newestIsExact(ground);
});

test('L18 A5 a resolve that lies about a send that was cut off', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const { lab } = ground;
  const court = new Court(ground);
  const agent = interposedAgent(join(lab.folder, 'interposed'));
  const cut = async () => {
    ground.reset();
    edit(ground);
    const env = { INTERPOSE: JSON.stringify({ from: 'receiver', what: 'done to commit', action: 'kill-agent' }) };
    (await lab.run(['send'], { agent, env })).expectKilled();
  };
  const head = (volume: string, session: number) => join(ground.session(volume, ground.sessions[session]!), 'head');
  const lies = [
    ['nothing was committed', ''],
    ['an older session is the newest', `${ground.sessions[0]!}|${head('a.img', 0)}`],
    ['an older session is the newest', `${ground.sessions[2]!}|${head('a.img', 2)}`],
    ['an older session is the newest', `${ground.sessions[2]!}|${head('wide.img', 2)}`],
  ] as const;
  for (const [lie, given] of lies) {
    await cut();
    const before = ground.stored();
    const ran = await court.tell(lie, ['send'], given);
    // It was committed and is shown by the listing, so the lie does not hold.
    assert.equal(ran.status, 4, ran.describe());
    assert.deepEqual(ground.stored(), before);
  }
  // With the truth all is settled.
  await cut();
  (await lab.run(['send'])).expect(0);
  (await lab.run(['list'])).expect(0);
  await newestIsExact(ground);
  assert.ok(existsSync(ground.archive));
});
