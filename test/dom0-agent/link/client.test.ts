import assert from 'node:assert/strict';
import { describe, it, mock, type TestContext } from 'node:test';
import { ReceiverClient, type ClientOptions, type Request } from '../../../dom0-agent/link/client.ts';
import type { Waiting } from '../../../dom0-agent/link/call-watch.ts';
import type { Item } from '../../../dom0-agent/link/due-answers.ts';
import type { PairingId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { type SparsebakError } from '../../../shared/errors.ts';
import { encodeFrame } from '../../../shared/wire/encode.ts';
import { WINDOW } from '../../../shared/wire/limits.ts';
import { MAGIC, MAX_BANNER } from '../../../shared/wire/magic.ts';
import { type ReceiverMessage } from '../../../shared/wire/messages.ts';
import { HELLO, ScriptedLink } from './scripted-link.ts';

const volume = 'ab'.repeat(16) as VolumeId;
const pairing = 'cd'.repeat(16) as PairingId;
const session = 'S_20261123-020000' as SessionName;
const begin = { t: 'begin', volume, pairing, base: null, session, size: 1, name: null, resume: false } as const;
const page = { t: 'get-page', volume, session, range: 0 } as const;

async function connected(
  options: Partial<ClientOptions> = {},
): Promise<{ link: ScriptedLink; client: ReceiverClient }> {
  const link = new ScriptedLink();
  const connecting = ReceiverClient.connect(link, { release: 'test', ...options });
  link.greet();
  return { link, client: await connecting };
}

/** Turns the clock as it turns by itself: in small steps. */
function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += 500) mock.timers.tick(500);
}

function codeOf({ failure }: ReceiverClient): string | undefined {
  return failure?.code;
}

/** Lets everything run that waits for nothing. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** A client whose clock the test turns; silence is 60 s, `alive` comes after 15 s. */
async function clocked(
  t: TestContext,
  options: Partial<ClientOptions> = {},
): Promise<{ link: ScriptedLink; client: ReceiverClient; pass: (ms: number) => void }> {
  mock.timers.enable({ apis: ['setInterval', 'Date'] });
  t.after(() => mock.timers.reset());
  return { ...(await connected({ now: () => Date.now(), ...options })), pass };
}

describe('greeting', () => {
  it('W13 passes over what a login shell prints, and no more than its share', async () => {
    const link = new ScriptedLink();
    const connecting = ReceiverClient.connect(link, { release: 'test' });
    link.raw(Buffer.from('Welcome!\r\nSPB SPBK you have mail\n'));
    link.greet();
    const client = await connecting;
    assert.equal(client.failure, undefined);

    const chatty = new ScriptedLink();
    const refused = ReceiverClient.connect(chatty, { release: 'test' });
    chatty.raw(Buffer.alloc(MAX_BANNER + 1, 'x'));
    await assert.rejects(refused, { code: 'protocol' });
    assert.ok(chatty.destroyed);
  });

  for (const version of [0, 2]) {
    it(`W10 refuses a receiver of protocol version ${version}`, async () => {
      const link = new ScriptedLink();
      const connecting = ReceiverClient.connect(link, { release: 'test' });
      link.greet({ ...HELLO, version } as ReceiverMessage);
      await assert.rejects(connecting, { code: 'refused', exitStatus: 5, message: /version/ });
      assert.ok(link.destroyed);
    });
  }

  it('W10 tells what a receiver says that refuses us', async () => {
    const link = new ScriptedLink();
    const connecting = ReceiverClient.connect(link, { release: 'test' });
    link.greet({ t: 'error', re: 0, code: 'version', message: 'another\u001b[2J version' });
    await assert.rejects(connecting, (error: SparsebakError) => {
      assert.equal(error.code, 'refused');
      assert.ok(!error.message.includes('\u001b'), 'W12 escaped');
      return true;
    });
  });

  it('W5 takes no other message for a hello', async () => {
    const link = new ScriptedLink();
    const connecting = ReceiverClient.connect(link, { release: 'test' });
    link.greet({ t: 'done', re: 0 });
    await assert.rejects(connecting, { code: 'protocol' });
  });

  it('G1 ends at once when it is interrupted', async () => {
    const abort = new AbortController();
    const link = new ScriptedLink();
    const connecting = ReceiverClient.connect(link, { release: 'test', signal: abort.signal });
    abort.abort();
    await assert.rejects(connecting, { code: 'interrupted' });
    assert.ok(link.destroyed);
    await assert.rejects(ReceiverClient.connect(new ScriptedLink(), { release: 'test', signal: abort.signal }), {
      code: 'interrupted',
    });
  });
});

describe('answers', () => {
  const wrong: Record<string, (id: number) => ReceiverMessage> = {
    'to a request that was never made': (id) => ({ t: 'done', re: id + 7 }),
    'to the request before': (id) => ({ t: 'done', re: id - 1 }),
    'of a kind that the request does not have': (id) => ({
      t: 'resolved',
      re: id,
      session: null,
      head: null,
      checkpoint: null,
    }),
    'with an item that was not asked for': (id) => ({ t: 'slot', re: id, name: 'a', data: Buffer.from('x') }),
    'by greeting again': () => HELLO,
    'by an error to another request': (id) => ({ t: 'error', re: id + 1, code: 'io', message: '' }),
    'by working to another request': (id) => ({ t: 'working', re: id + 1, count: 1 }),
  };
  for (const [what, message] of Object.entries(wrong)) {
    it(`W5 W6 that come ${what} end the call`, async () => {
      const { link, client } = await connected();
      const first = client.request({ t: 'get-catalogue' });
      link.say({ t: 'done', re: 1 });
      await first;
      const pending = client.request(page, () => undefined);
      const behind = client.request({ t: 'get-volumes' });
      link.say(message(2));
      await assert.rejects(pending, { code: 'protocol', exitStatus: 5 });
      await assert.rejects(behind, { code: 'protocol' });
      await assert.rejects(client.request({ t: 'get-slots' }), { code: 'protocol' });
      assert.ok(link.destroyed);
    });
  }

  it('W6 that come twice end the call', async () => {
    const { link, client } = await connected();
    const pending = client.request({ t: 'get-catalogue' });
    link.say({ t: 'done', re: 1 }, { t: 'done', re: 1 });
    await pending;
    assert.equal(codeOf(client), 'protocol');
  });

  it('W6 out of order end the call, and nothing of them is taken for another’s', async () => {
    const { link, client } = await connected();
    const items: Item[] = [];
    const pages = [0, 1].map((range) => client.request({ ...page, range }, (item) => items.push(item)));
    link.say({ t: 'data', re: 2, data: Buffer.from('second') });
    for (const pending of pages) await assert.rejects(pending, { code: 'protocol' });
    assert.deepEqual(items, []);
  });

  it('go each to its own request', async () => {
    const { link, client } = await connected();
    const got: string[] = [];
    const pages = [0, 1, 2].map((range) =>
      client.request({ ...page, range }, (item) => {
        if (item.t === 'data') got.push(`${range} ${Buffer.from(item.data).toString()}`);
      }),
    );
    link.say({ t: 'data', re: 1, data: Buffer.from('a') }, { t: 'done', re: 1 }, { t: 'absent', re: 2 });
    link.say({ t: 'error', re: 3, code: 'no-space', message: 'full' });
    assert.equal((await pages[0]!).t, 'done');
    assert.equal((await pages[1]!).t, 'absent');
    await assert.rejects(pages[2]!, { code: 'no-space', exitStatus: 5 });
    assert.deepEqual(got, ['0 a']);
    assert.equal(client.failure, undefined, 'an error is an answer like another');
  });

  it('L18 may be used after the bytes that they came in are gone', async () => {
    const { link, client } = await connected();
    const pending = client.request({ t: 'resolve', volume, pairing, resume: false });
    link.say({ t: 'resolved', re: 1, session, head: Buffer.from('a head'), checkpoint: null });
    const answer = await pending;
    assert.ok(answer.t === 'resolved' && answer.head !== null);
    assert.equal(Buffer.from(answer.head).toString(), 'a head');
  });

  it('are waited for by no more requests than the window has places', async () => {
    const { link, client } = await connected();
    const all = Array.from({ length: WINDOW + 3 }, () => client.request({ t: 'get-catalogue' }));
    await Promise.resolve();
    assert.equal(link.heard.length, 1 + WINDOW);
    for (let re = 1; re <= WINDOW + 3; re++) {
      link.say({ t: 'done', re });
      await all[re - 1];
    }
    assert.equal(link.heard.length, 1 + WINDOW + 3);
  });

  it('to a begin that was answered may still say that the send failed, once', async () => {
    const { link, client } = await connected();
    const failures: SparsebakError[] = [];
    client.onSendFailed = (error) => failures.push(error);
    const begun = client.request(begin);
    link.say({ t: 'done', re: 1 });
    await begun;
    const checkpoint = client.request({ t: 'checkpoint', address: 0 });
    link.say({ t: 'error', re: 1, code: 'no-space', message: 'full' });
    link.say({ t: 'error', re: 2, code: 'no-space', message: 'full' });
    await assert.rejects(checkpoint, { code: 'no-space' });
    assert.deepEqual(
      failures.map(({ code }) => code),
      ['no-space'],
    );
    assert.equal(client.failure, undefined);
    link.say({ t: 'error', re: 1, code: 'no-space', message: 'full' });
    assert.equal(codeOf(client), 'protocol');
  });

  it('may say working to a begin that was answered, while nothing or something else is asked', async () => {
    const { link, client } = await connected();
    const begun = client.request(begin);
    link.say({ t: 'working', re: 1, count: 1 }, { t: 'done', re: 1 });
    await begun;
    link.say({ t: 'working', re: 1, count: 1 });
    const checkpoint = client.request({ t: 'checkpoint', address: 0 });
    link.say({ t: 'working', re: 1, count: 2 }, { t: 'working', re: 2, count: 1 }, { t: 'done', re: 2 });
    await checkpoint;
    assert.equal(client.failure, undefined);
  });
});

/** All that a receiver says in a small call, and the call that hears it. */
const said: readonly ReceiverMessage[] = [
  {
    t: 'opened',
    re: 1,
    archiveId: 'ef'.repeat(16) as never,
    chunkSize: 65536,
    encrypted: true,
    dedup: false,
    minKeep: 1,
    allowDelete: true,
  },
  { t: 'working', re: 2, count: 1 },
  { t: 'data', re: 2, data: Buffer.from('some page') },
  { t: 'done', re: 2 },
  { t: 'done', re: 3 },
];
const stream = Buffer.concat([MAGIC, encodeFrame(HELLO), ...said.map((message) => encodeFrame(message))]);

async function call(link: ScriptedLink): Promise<string> {
  const client = await ReceiverClient.connect(link, { release: 'test' });
  await client.request({ t: 'open', archive: 'laptop' as never, lockWait: 0 });
  let got = '';
  await client.request(page, (item) => {
    if (item.t === 'data') got += Buffer.from(item.data).toString();
  });
  await client.bye();
  return got;
}

/** Feeds the stream, each message only when it was asked for, cut in pieces of so many bytes. */
async function fed(bytes: Uint8Array, piece: number, status: number | null | undefined): Promise<string> {
  const link = new ScriptedLink();
  const calling = call(link);
  calling.catch(() => undefined);
  const greeting = MAGIC.length + encodeFrame(HELLO).length;
  const ends = [greeting, ...said.map((_, index) => greeting + lengthOf(index))];
  const asked = [0, 1, 2, 2, 2, 3];
  let at = 0;
  for (const [index, end] of ends.entries()) {
    while (link.heard.length - 1 < asked[index]! && !link.destroyed) await Promise.resolve();
    for (; at < Math.min(end, bytes.length); at += piece)
      link.raw(bytes.subarray(at, Math.min(at + piece, end, bytes.length)));
    at = Math.min(end, bytes.length);
    if (at === bytes.length) break;
  }
  // All that was said is heard before the end is, as with a process.
  await settled();
  if (status !== undefined) link.finish(status);
  return await calling;
}

function lengthOf(last: number): number {
  return said.slice(0, last + 1).reduce((sum, message) => sum + encodeFrame(message).length, 0);
}

describe('the stream', () => {
  it('W1 may be cut anywhere', async () => {
    let cuts = 0;
    for (let piece = 1; piece <= stream.length; piece++, cuts++) assert.equal(await fed(stream, piece, 0), 'some page');
    assert.ok(cuts > 100);
  });

  it('W2 that ends at any place before its own end is an error, never an answer', async () => {
    let ends = 0;
    for (let length = 0; length < stream.length; length++, ends++) {
      await assert.rejects(
        fed(stream.subarray(0, length), 1000, 0),
        { code: 'unreachable', exitStatus: 5 },
        String(length),
      );
    }
    assert.ok(ends > 100);
  });

  it('W2 is over with the answer to bye, however the process ends, and if it never does', async () => {
    for (const status of [0, 1, null]) assert.equal(await fed(stream, 1000, status), 'some page');
    assert.equal(await fed(stream, 1000, undefined), 'some page');
  });

  it('W6 is not listened to after the answer to bye', async () => {
    const { link, client } = await connected();
    const leaving = client.bye();
    link.raw(
      Buffer.concat([encodeFrame({ t: 'done', re: 1 }), encodeFrame({ t: 'done', re: 1 }), Buffer.of(0, 0, 0, 0)]),
    );
    await leaving;
    assert.ok(link.left);
    link.finish(7);
    await settled();
    assert.equal(client.failure, undefined);
    await assert.rejects(client.request({ t: 'get-volumes' }), { code: 'failed' });
  });

  it('W3 W11 that is none ends the call', async () => {
    for (const bytes of [
      [0, 0, 0, 0],
      [0xff, 0xff, 0xff, 0xff],
      [0, 2, 0, 1],
      [0, 0, 0, 1, 0xc1],
      [0, 0, 0, 2, 0x80, 0x80],
    ]) {
      const { link, client } = await connected();
      const pending = client.request({ t: 'get-volumes' });
      link.raw(Uint8Array.from(bytes));
      await assert.rejects(pending, { code: 'protocol' }, String(bytes));
    }
  });
});

describe('silence', () => {
  it('W7 while an answer is due ends the call', async (t) => {
    const { link, client, pass } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' });
    pass(59_000);
    assert.equal(client.failure, undefined);
    pass(3000);
    await assert.rejects(pending, { code: 'unreachable', hint: /run the command again/ });
    assert.ok(link.destroyed);
  });

  it('W7 before the greeting ends the call', async (t) => {
    mock.timers.enable({ apis: ['setInterval', 'Date'] });
    t.after(() => mock.timers.reset());
    const connecting = ReceiverClient.connect(new ScriptedLink(), { release: 'test', now: () => Date.now() });
    pass(62_000);
    await assert.rejects(connecting, { code: 'unreachable' });
  });

  it('W7 W9 of a receiver that takes no bytes ends the call, though no answer is due', async (t) => {
    const { link, client, pass } = await clocked(t);
    pass(300_000);
    assert.equal(client.failure, undefined, 'nothing was due');
    link.clogged = true;
    void client.sendFrames(Buffer.alloc(10));
    pass(59_000);
    assert.equal(client.failure, undefined);
    pass(3000);
    assert.equal(codeOf(client), 'unreachable');
  });

  it('W7 does not count while bytes are being taken, or while the receiver works on a zero run', async (t) => {
    const { link, client, pass } = await clocked(t);
    const begun = client.request(begin);
    link.say({ t: 'done', re: 1 });
    await begun;
    link.clogged = true;
    void client.sendFrames(Buffer.alloc(10));
    for (let count = 1; count <= 10; count++) {
      pass(50_000);
      if (count % 2 === 0) link.taken += 10;
      else link.say({ t: 'working', re: 1, count });
    }
    assert.equal(client.failure, undefined);
  });

  it('W7 does not count while the receiver says that it works', async (t) => {
    const { link, client, pass } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' });
    for (let count = 1; count <= 100; count++) {
      pass(10_000);
      link.say({ t: 'working', re: 1, count });
    }
    link.say({ t: 'done', re: 1 });
    await pending;
  });

  it('W7 W8 is what a counter that stands still amounts to', async () => {
    const { link, client } = await connected();
    const pending = client.request({ t: 'get-volumes' });
    link.say({ t: 'working', re: 1, count: 5 }, { t: 'working', re: 1, count: 5 });
    await assert.rejects(pending, { code: 'protocol' });
  });

  it('W7 does not count the time in which the computer slept', async (t) => {
    const { link, client, pass } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' });
    pass(30_000);
    mock.timers.setTime(Date.now() + 8 * 3_600_000);
    pass(10_000);
    assert.equal(client.failure, undefined);
    link.say({ t: 'done', re: 1 });
    await pending;
  });

  it('on our side is filled with alive, which has no answer', async (t) => {
    const { link, client, pass } = await clocked(t);
    pass(100_000);
    const alive = link.heard.filter((message) => message.t === 'alive').length;
    assert.ok(alive >= 5 && alive <= 7, String(alive));
    assert.equal(client.failure, undefined);
  });
});

const HOUR = 3_600_000;

/**
 * Milliseconds until the call ends, with the receiver doing something every so often; undefined if it goes on for a
 * week.
 */
async function lasts(client: ReceiverClient, every: number, act: (time: number) => void): Promise<number | undefined> {
  for (let time = 0; time < 7 * 24 * HOUR; time += every) {
    pass(every);
    await settled();
    if (client.failure !== undefined) return time + every;
    act(time);
    await settled();
  }
  return undefined;
}

describe('progress', () => {
  const minutes = (time: number | undefined): number => Math.round((time ?? Infinity) / 60_000);

  it('W7 is not what working says: a listing has half an hour of it', async (t) => {
    const { link, client } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' });
    pending.catch(() => undefined);
    let count = 0;
    const time = await lasts(client, 5000, () => {
      link.say({ t: 'working', re: 1, count: ++count });
    });
    assert.equal(minutes(time), 30);
    await assert.rejects(pending, { code: 'unreachable', message: /no progress.*30 min to list the volumes/ });
  });

  it('W7 W8 is not one small item every 5 s, nor one with working between', async (t) => {
    const { link, client } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' }, () => undefined);
    pending.catch(() => undefined);
    let number = 0;
    const time = await lasts(client, 5000, () => {
      const sessions = [{ session, storedBytes: number++, files: 1, protected: false }];
      link.say({ t: 'volume', re: 1, volume, sessions }, { t: 'working', re: 1, count: number });
    });
    assert.ok(minutes(time) <= 32, String(time));
  });

  it('W7 of one request after the other is one account, for the whole call', async (t) => {
    const { link, client } = await clocked(t);
    let re = 0;
    let asked = client.request(page, () => undefined);
    // Each page is held back for a minute and a half, by working.
    const time = await lasts(client, 30_000, (at) => {
      if ((at / 30_000) % 3 !== 2) link.say({ t: 'working', re: re + 1, count: at + 1 });
      else {
        link.say({ t: 'absent', re: ++re });
        asked = client.request(page, () => undefined);
        asked.catch(() => undefined);
      }
    });
    assert.ok(minutes(time) >= 10 && minutes(time) <= 13, String(time));
  });

  it('is what comes at a slow line’s rate, for as long as it takes', async (t) => {
    const { link, client } = await clocked(t);
    client.setChunkSize(65536);
    let re = 1;
    const ask = (): void => {
      const answer = client.request({ t: 'get-chunks', volume, session, addresses: [0] }, () => undefined);
      answer.catch(() => undefined);
    };
    ask();
    const data = Buffer.alloc(65536, 1);
    let rounds = 0;
    await lasts(client, 15_000, () => {
      if (++rounds > 6 * 240) return;
      link.say({ t: 'stored', re, address: 0, data }, { t: 'done', re: re++ });
      ask();
    });
    assert.ok(rounds > 6 * 240, 'six hours');
  });

  it('W7 W9 is not a pipe that is emptied by a few bytes now and then', async (t) => {
    const { link, client } = await clocked(t);
    link.clogged = true;
    void client.sendFrames(Buffer.alloc(10));
    const time = await lasts(client, 30_000, () => {
      link.taken += 1000;
    });
    assert.ok(minutes(time) >= 10 && minutes(time) <= 13, String(time));
  });

  it('is a pipe that is emptied at a slow line’s rate, for as long as it takes', async (t) => {
    const { link, client } = await clocked(t);
    link.clogged = true;
    void client.sendFrames(Buffer.alloc(10));
    let rounds = 0;
    await lasts(client, 30_000, () => {
      if (rounds++ < 6 * 120) link.taken += 30 * 4096;
    });
    assert.ok(rounds > 6 * 120, 'six hours');
  });

  it('of a commit may take an hour, and longer by what its zero runs may have cost', async (t) => {
    const { link, client } = await clocked(t);
    const begun = client.request(begin);
    link.say({ t: 'done', re: 1 });
    await begun;
    const working = (re: number) => (at: number) => {
      link.say({ t: 'working', re, count: at + 1 });
    };
    await client.send({ t: 'zeros', address: 0, count: 1_800_000 });
    const committed = client.request({ t: 'commit', head: Buffer.from('head') });
    committed.catch(() => undefined);
    const lasted = minutes(await lasts(client, 30_000, working(2)));
    assert.ok(lasted >= 119 && lasted <= 121, String(lasted));
    await assert.rejects(committed, { message: /120 min to make the session durable/ });
  });

  it('of what may wait for a lock does not count the wait that was asked for', async (t) => {
    const { link, client } = await clocked(t);
    const opening = client.request({ t: 'open', archive: 'laptop' as never, lockWait: 7200 });
    opening.catch(() => undefined);
    const time = await lasts(client, 10_000, (at) => {
      link.say({ t: 'working', re: 1, count: at + 1 });
    });
    assert.equal(minutes(time), 150);
  });

  it('W8 working without a pause ends the call', async (t) => {
    const { link, client } = await clocked(t);
    const pending = client.request({ t: 'get-volumes' });
    for (let count = 0; count < 200 && client.failure === undefined; count++) link.say({ t: 'working', re: 1, count });
    await assert.rejects(pending, { code: 'protocol' });
  });

  it('is told while it is waited for, and no longer', async (t) => {
    const told: (Waiting | undefined)[] = [];
    const newest = (): Waiting | undefined => told.at(-1);
    const { link, client } = await clocked(t, { onWait: (waiting) => told.push(waiting) });
    const pending = client.request({ t: 'get-volumes' });
    pass(4000);
    assert.deepEqual(told, [], 'not at once');
    pass(6000);
    const { destination, task, seconds = 0, secondsLeft = 0 } = newest() ?? {};
    assert.deepEqual([destination, task], ['test:receiver', 'list the volumes']);
    assert.ok(seconds >= 9 && seconds <= 10);
    assert.ok(secondsLeft > 29 * 60 && secondsLeft < 30 * 60);
    link.say({ t: 'done', re: 1 });
    assert.equal(newest(), undefined, 'at once');
    await pending;
    const { length } = told;
    pass(60_000);
    assert.equal(told.length, length, 'nothing is waited for');
  });
});

describe('an answer', () => {
  type Without<T> = T extends { re: number } ? Omit<T, 're'> : never;
  const endless: readonly (readonly [Request, Without<ReceiverMessage>])[] = [
    [{ t: 'get-slots' }, { t: 'slot', name: 'a', data: Buffer.alloc(60_000, 1) }],
    [{ t: 'get-slots' }, { t: 'slot', name: 'a', data: Buffer.of(1) }],
    [{ t: 'get-catalogue' }, { t: 'data', data: Buffer.alloc(65_536, 1) }],
    [
      { t: 'get-index', volume, session },
      { t: 'data', data: Buffer.of(1) },
    ],
    [page, { t: 'data', data: Buffer.of(1) }],
    [{ t: 'get-volumes' }, { t: 'volume', volume, sessions: [] }],
    [
      { t: 'get-heads', volume, sessions: [session] },
      { t: 'head', session, data: Buffer.of(1) },
    ],
    [
      { t: 'get-heads', volume, sessions: [] },
      { t: 'head', session, data: Buffer.alloc(100_000, 1) },
    ],
    [
      { t: 'get-chunks', volume, session, addresses: [0, 65536] },
      { t: 'stored', address: 0, data: null },
    ],
    [
      { t: 'get-damage', volume },
      { t: 'damage', addresses: [], pages: [] },
    ],
  ];
  for (const [request, item] of endless) {
    it(`W8 to ${request.t} has a cap, whoever asked: ${JSON.stringify(item).slice(0, 60)}`, async () => {
      const { link, client } = await connected();
      const pending = client.request(request, () => undefined);
      let sent = 0;
      const frame = encodeFrame({ ...item, re: 1 });
      while (client.failure === undefined && sent++ < 150_000) link.raw(frame);
      await assert.rejects(pending, { code: 'protocol', message: new RegExp(`answer to ${request.t} does not end`) });
    });
  }
});
