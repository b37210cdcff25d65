import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRANTS, type Grant } from '../../../shared/wire/grants.ts';
import { type AgentMessage } from '../../../shared/wire/messages.ts';
import { MAGIC } from '../../../shared/wire/magic.ts';
import { GRANTED, LEGAL, type Phase } from '../../../shared/wire/phases.ts';
import { OTHER_VOLUME, VOLUME, bytes, pairingId, sessionName, slotOf } from '../store/small-volumes.ts';
import type { Peer } from '../peer.ts';
import { CREATE, OPEN, begin, open, withReceivers, type Receivers } from '../wire-session.ts';
import { limit } from '../../fixtures/limits.ts';

const ID = 1000;
const session = sessionName(1);

/** One of each message, harmless wherever it is legal. */
const SAMPLES: { readonly [T in AgentMessage['t']]: Extract<AgentMessage, { t: T }> } = {
  hello: { t: 'hello', version: 1, release: 'test', capabilities: [] },
  create: { ...CREATE, id: ID } as Extract<AgentMessage, { t: 'create' }>,
  open: { ...OPEN, id: ID } as Extract<AgentMessage, { t: 'open' }>,
  'get-slots': { t: 'get-slots', id: ID },
  'put-slot': { t: 'put-slot', id: ID, name: 'other', data: slotOf('o') },
  'drop-slot': { t: 'drop-slot', id: ID, name: 'other' },
  'get-catalogue': { t: 'get-catalogue', id: ID },
  'put-catalogue': { t: 'put-catalogue', id: ID, replaces: new Uint8Array(32) },
  'get-volumes': { t: 'get-volumes', id: ID },
  'get-heads': { t: 'get-heads', id: ID, volume: VOLUME, sessions: [] },
  'get-index': { t: 'get-index', id: ID, volume: VOLUME, session },
  'get-page': { t: 'get-page', id: ID, volume: VOLUME, session, range: 0 },
  'get-chunks': { t: 'get-chunks', id: ID, volume: VOLUME, session, addresses: [0] },
  'get-freed': { t: 'get-freed', id: ID, volume: OTHER_VOLUME, sessions: [session] },
  'get-space': { t: 'get-space', id: ID },
  'get-damage': { t: 'get-damage', id: ID, volume: OTHER_VOLUME },
  prune: { t: 'prune', id: ID, volume: OTHER_VOLUME, session },
  protect: { t: 'protect', id: ID, volume: OTHER_VOLUME, session, on: true },
  rename: { t: 'rename', id: ID, volume: OTHER_VOLUME, name: 'work' },
  delete: { t: 'delete', id: ID, volume: OTHER_VOLUME },
  'mend-chunk': { t: 'mend-chunk', id: ID, volume: OTHER_VOLUME, session, address: 0, data: bytes('c') },
  'mend-page': { t: 'mend-page', id: ID, volume: OTHER_VOLUME, session, range: 0, data: bytes('p') },
  resolve: { t: 'resolve', id: ID, volume: OTHER_VOLUME, pairing: pairingId(1), resume: false },
  begin: { ...begin({ volume: OTHER_VOLUME }), id: ID } as Extract<AgentMessage, { t: 'begin' }>,
  chunk: { t: 'chunk', address: 0, data: bytes('c') },
  zeros: { t: 'zeros', address: 0, count: 1 },
  page: { t: 'page', range: 0, data: bytes('p') },
  checkpoint: { t: 'checkpoint', id: ID, address: 0 },
  part: { t: 'part', data: bytes('p') },
  commit: { t: 'commit', id: ID, head: bytes('h') },
  abandon: { t: 'abandon', id: ID, keep: false },
  alive: { t: 'alive' },
  bye: { t: 'bye', id: ID },
};
const TYPES = Object.keys(SAMPLES) as AgentMessage['t'][];

/** Brings a new connection to the beginning of a phase. */
const REACH: Readonly<Record<Phase, (peer: Peer) => Promise<unknown>>> = {
  greeting: async (peer) => peer.raw(MAGIC),
  closed: (peer) => peer.greet(),
  open: (peer) => open(peer),
  sending: async (peer) => (await open(peer)).done(begin()),
};

/** The ones that the protocol answers: what has no id has no answer of its own. */
async function illegal({ start }: Receivers, phase: Phase, type: AgentMessage['t']): Promise<void> {
  const peer = start();
  await REACH[phase](peer);
  peer.send(SAMPLES[type]);
  const message = SAMPLES[type];
  const answer = await peer.next();
  if ('id' in message) {
    assert.ok(answer?.t === 'error' && answer.re === ID && answer.code === 'bad-request', `${type} in ${phase}`);
    assert.equal(await peer.next(), undefined);
  } else {
    assert.equal(answer, undefined, `${type} in ${phase}`);
  }
  const { code, stderr } = await peer.ended;
  assert.equal(code, 5, `${type} in ${phase}: ${stderr}`);
}

async function legal({ start }: Receivers, phase: Phase, type: AgentMessage['t']): Promise<void> {
  const peer = start();
  await REACH[phase](peer);
  const message = SAMPLES[type];
  peer.send(message);
  if (type === 'hello') assert.equal((await peer.next())?.t, 'hello');
  // In whatever phase it is now, a request is answered, and the receiver is still there to say so.
  if ('id' in message) {
    const { closing } = await peer.answerTo(ID);
    assert.ok(
      closing.t !== 'error' || closing.code !== 'bad-request' || ['put-catalogue', 'rename'].includes(type),
      type,
    );
  }
  await peer.hangUp();
}

/** A few at a time: each starts a process. */
async function inTurns(works: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...works];
  const worker = async () => {
    for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) await work();
  };
  await Promise.all([worker(), worker(), worker()]);
}

for (const phase of Object.keys(REACH) as Phase[]) {
  test(`W5: each message in the phase ${phase}`, { timeout: limit(120_000) }, async () => {
    let tried = 0;
    await inTurns(
      TYPES.map(
        (type) => () =>
          withReceivers(async (receivers) => {
            tried += 1;
            await (LEGAL[phase].has(type) ? legal : illegal)(receivers, phase, type);
          }),
      ),
    );
    assert.equal(tried, TYPES.length);
  });
}

/** Says every request that is legal in closed and open under one grant; gives those that were refused. */
async function refusedUnder({ start }: Receivers, grant: Grant): Promise<string[]> {
  const peer = start({ args: ['--grant', grant] });
  const hello = await peer.greet();
  assert.ok(hello?.t === 'hello' && hello.grant === grant);
  const refused: string[] = [];
  const closed: AgentMessage['t'][] = ['create', 'open'];
  const opened = TYPES.filter((type) => LEGAL.open.has(type) && type !== 'bye' && type !== 'begin');
  for (const type of [...closed, ...opened, 'begin' as const]) {
    const message = SAMPLES[type];
    if (!('id' in message)) continue;
    const { id: _, ...request } = message;
    const { closing } = await peer.request(request);
    if (closing.t === 'error' && closing.code === 'refused') refused.push(type);
  }
  await peer.hangUp();
  return refused;
}

for (const grant of GRANTS) {
  test(`the grant ${grant} is enforced message by message, and the call goes on`, () =>
    withReceivers(async (receivers) => {
      await (await open(receivers.start())).bye();
      const requests = TYPES.filter(
        (type) => 'id' in SAMPLES[type] && (LEGAL.closed.has(type) || LEGAL.open.has(type)) && type !== 'bye',
      );
      const expected = requests.filter((type) => !GRANTED[grant].has(type)).sort();
      assert.deepEqual((await refusedUnder(receivers, grant)).sort(), expected);
      if (grant === 'retrieve' || grant === 'maintain') assert.ok(expected.includes('begin'));
    }));
}

test('a caller other than the configured ones is refused', () =>
  withReceivers(async ({ start }) => {
    const peer = start({ env: { QREXEC_REMOTE_DOMAIN: 'sys-net' } });
    const answer = await peer.greet();
    assert.ok(answer?.t === 'error' && answer.re === 0 && answer.code === 'refused');
    assert.equal((await peer.ended).code, 5);
    const dom0 = start({ env: { QREXEC_REMOTE_DOMAIN: 'dom0' } });
    assert.equal((await dom0.greet())?.t, 'hello');
    assert.equal((await dom0.bye()).code, 0);
  }));

test('W10: another version is refused by name', () =>
  withReceivers(async ({ start }) => {
    for (const version of [0, 2]) {
      const peer = start();
      peer.raw(MAGIC);
      peer.send({ t: 'hello', version, release: 'test', capabilities: [] });
      const answer = await peer.next();
      assert.ok(answer?.t === 'error' && answer.re === 0 && answer.code === 'version');
      assert.equal((await peer.ended).code, 5);
    }
  }));
