// W5 W6: each message that a receiver can say, at each place of a call in which it can say it: taken where
// docs/protocol.md has it, the end of the call everywhere else. Places and messages are those of the schemas; none is
// listed here.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ReceiverClient, type Request } from '../../../dom0-agent/link/client.ts';
import { asSparsebakError } from '../../../shared/errors.ts';
import type { AgentMessage, AgentRequest, ReceiverMessage } from '../../../shared/wire/messages.ts';
import { ANSWERS, LEGAL } from '../../../shared/wire/phases.ts';
import { agentMessages, receiverMessages } from '../../shared/wire/messages.ts';
import { ScriptedLink } from './scripted-link.ts';

type Kind = AgentRequest['t'];
type Answer = ReceiverMessage['t'];

const REQUESTS = Object.keys(ANSWERS) as Kind[];
const SAID = Object.keys(receiverMessages) as Answer[];

function sample<T>(arbitrary: fc.Arbitrary<T>): T {
  return fc.sample(arbitrary, { numRuns: 1, seed: 4 })[0]!;
}

function request(kind: Kind): Request {
  const { id: _, ...rest } = sample(agentMessages[kind] as fc.Arbitrary<AgentMessage>) as AgentRequest;
  return rest;
}

/** One of a kind, as an answer to the request of this id. */
function saying(t: Answer, re: number): ReceiverMessage {
  const message = sample<ReceiverMessage>(receiverMessages[t] as fc.Arbitrary<ReceiverMessage>);
  return 're' in message ? { ...message, re } : message;
}

interface Call {
  readonly link: ScriptedLink;
  readonly client: ReceiverClient;
}

async function connected(): Promise<Call> {
  const link = new ScriptedLink();
  const connecting = ReceiverClient.connect(link, { release: 'test' });
  link.greet();
  return { link, client: await connecting };
}

/** Asks; the code of what came of it, `answered`, or `open` while nothing did. */
function ask({ client }: Call, kind: Kind): { readonly outcome: string } {
  const asked = { outcome: 'open' };
  void client
    .request(request(kind), () => undefined)
    .then(
      () => (asked.outcome = 'answered'),
      (error: unknown) => (asked.outcome = `error ${asSparsebakError(error).code}`),
    );
  return asked;
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** The call goes on, or is over with an error of the protocol. */
async function end(call: Call, goesOn: boolean, what: string): Promise<void> {
  await settled();
  assert.equal(call.client.failure?.code, goesOn ? undefined : 'protocol', what);
  assert.equal(call.link.destroyed, !goesOn, what);
  call.client.close();
  await settled();
}

/** Brings a call to where a send is under way. @returns the id of its `begin` */
async function sending(call: Call): Promise<number> {
  const begun = ask(call, 'begin');
  await settled();
  call.link.say({ t: 'done', re: 1 });
  await settled();
  assert.equal(begun.outcome, 'answered');
  return 1;
}

/** Says each message there is at one place of a call. @returns those that were taken */
async function taken(reach: (call: Call) => Promise<number>): Promise<Answer[]> {
  const found: Answer[] = [];
  for (const t of SAID) {
    const call = await connected();
    call.link.say(saying(t, await reach(call)));
    await settled();
    const goesOn = call.client.failure === undefined;
    await end(call, goesOn, t);
    if (goesOn) found.push(t);
  }
  return found.sort();
}

describe('a receiver that says anything anywhere', () => {
  test('W5 ahead of its hello: only that is taken, or why it will not have us', async () => {
    for (const t of SAID) {
      const link = new ScriptedLink();
      const connecting = ReceiverClient.connect(link, { release: 'test' });
      connecting.catch(() => undefined);
      const message = saying(t, 0);
      link.greet(message.t === 'hello' ? { ...message, version: 1 } : message);
      if (t === 'hello') (await connecting).close();
      else {
        const codes =
          t === 'error' ? ['refused', 'failed', 'not-found', 'no-space', 'locked', 'protocol'] : ['protocol'];
        await assert.rejects(connecting, (error) => codes.includes(asSparsebakError(error).code), t);
        assert.ok(link.destroyed, t);
      }
    }
  });

  test('W5 where nothing was asked: nothing is taken', async () => {
    assert.deepEqual(await taken(async () => Promise.resolve(1)), []);
  });

  test('W5 W6 to what was answered already: nothing is taken', async () => {
    const answeredAlready = async (call: Call) => {
      const asked = ask(call, 'get-catalogue');
      await settled();
      call.link.say({ t: 'done', re: 1 });
      await settled();
      assert.equal(asked.outcome, 'answered');
      return 1;
    };
    assert.deepEqual(await taken(answeredAlready), []);
  });

  test('W5 W6 after the answer to bye: nothing is heard, so nothing that comes ends the call in another way', async () => {
    const left = async ({ client, link }: Call) => {
      client.bye().catch(() => undefined);
      await settled();
      link.say({ t: 'done', re: 1 });
      await settled();
      assert.ok(link.left);
      return 1;
    };
    assert.deepEqual(await taken(left), [...SAID].sort());
  });

  test('W5 between the requests of a send: that it works, or has failed, to the id of begin', async () => {
    assert.deepEqual(await taken(sending), ['error', 'working']);
    assert.deepEqual(await taken(async (call) => (await sending(call)) + 1), []);
  });

  for (const kind of REQUESTS) {
    test(`W5 W6 to ${kind}: what the protocol has for it`, async () => {
      const { items, closing } = ANSWERS[kind];
      const duringSend = LEGAL.sending.has(kind);
      for (const t of SAID) {
        for (const misdirected of [false, true]) {
          const call = await connected();
          const id = (duringSend ? await sending(call) : 0) + 1;
          const asked = ask(call, kind);
          const behind = ask(call, 'get-catalogue');
          await settled();
          call.link.say(saying(t, misdirected ? id + 1 : id));
          await settled();
          const fits = !misdirected && (t === 'working' || items.has(t) || closing.has(t));
          const what = `${t} to ${kind}${misdirected ? ', misdirected' : ''}`;
          const closes = fits && closing.has(t);
          if (!fits) assert.equal(asked.outcome, 'error protocol', what);
          else if (!closes) assert.equal(asked.outcome, 'open', what);
          else if (t === 'error') assert.match(asked.outcome, /^error /, what);
          else assert.equal(asked.outcome, 'answered', what);
          assert.equal(behind.outcome, fits ? 'open' : 'error protocol', what);
          await end(call, fits, what);
        }
      }
    });
  }
});
