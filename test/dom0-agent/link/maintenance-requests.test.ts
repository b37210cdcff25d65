import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReceiverClient } from '../../../dom0-agent/link/client.ts';
import {
  deleteVolume,
  freedByPruning,
  damagedParts,
  repairChunk,
  repairPage,
  protect,
  prune,
  renameVolume,
  space,
} from '../../../dom0-agent/link/maintenance-requests.ts';
import type { SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { MAX_DAMAGE, MAX_PRUNED } from '../../../shared/wire/limits.ts';
import type { AgentMessage, ReceiverMessage } from '../../../shared/wire/messages.ts';
import { ScriptedLink } from './scripted-link.ts';

const volume = 'ab'.repeat(16) as VolumeId;
const session = 'S_20261123-020000' as SessionName;

type Unnumbered<T> = T extends { re: number } ? Omit<T, 're'> : never;

/** A client whose receiver gives these answers to whatever is asked, and what it was asked. */
async function answeredBy(...answers: Unnumbered<ReceiverMessage>[]) {
  const link = new ScriptedLink();
  const connecting = ReceiverClient.connect(link, { release: 'test' });
  link.greet();
  const client = await connecting;
  const asked: AgentMessage[] = [];
  link.onHeard((message) => {
    if (!('id' in message)) return;
    const { id, ...rest } = message;
    asked.push(rest as never);
    for (const answer of answers) {
      if (client.failure === undefined) link.say({ ...answer, re: id });
    }
  });
  return { client, asked };
}

test('each question is asked as the protocol has it, and its answer handed on', async () => {
  const gone = await answeredBy({ t: 'working', count: 1 }, { t: 'freed', bytes: 17 });
  assert.equal(await prune(gone.client, volume, session), 17);
  assert.equal(await freedByPruning(gone.client, volume, [session]), 17);
  assert.equal(await deleteVolume(gone.client, volume), 17);
  assert.equal(await freedByPruning(gone.client, volume, []), 0, 'nothing is asked about nothing');
  assert.deepEqual(gone.asked, [
    { t: 'prune', volume, session },
    { t: 'get-freed', volume, sessions: [session] },
    { t: 'delete', volume },
  ]);

  const done = await answeredBy({ t: 'done' });
  assert.ok(await protect(done.client, volume, session, true));
  assert.ok(await renameVolume(done.client, volume, 'work'));
  assert.ok(await repairChunk(done.client, volume, session, 65536, new Uint8Array(0)));
  assert.ok(await repairPage(done.client, volume, session, 3, Uint8Array.of(1)));
  assert.deepEqual(
    done.asked.map(({ t }) => t),
    ['protect', 'rename', 'mend-chunk', 'mend-page'],
  );

  const { client } = await answeredBy({ t: 'space', totalBytes: 9, freeBytes: 4, freeInodes: null });
  assert.deepEqual(await space(client), { totalBytes: 9, freeBytes: 4, freeInodes: undefined });
});

test('what is not there is told apart from what went wrong', async () => {
  const { client } = await answeredBy({ t: 'absent' });
  assert.equal(await prune(client, volume, session), undefined);
  assert.equal(await freedByPruning(client, volume, [session]), undefined);
  assert.equal(await protect(client, volume, session, false), false);
  assert.equal(await renameVolume(client, volume, 'work'), false);
  assert.equal(await repairChunk(client, volume, session, 0, Uint8Array.of(1)), false);
  assert.deepEqual(await damagedParts(client, volume), { addresses: [], pages: [] });
  const refusing = await answeredBy({ t: 'error', code: 'refused', message: 'it is protected' });
  await assert.rejects(prune(refusing.client, volume, session), { code: 'refused', message: /it is protected/ });
});

test('damage comes in pieces, in order', async () => {
  const { client } = await answeredBy(
    { t: 'damage', addresses: [0, 65536], pages: [7] },
    { t: 'damage', addresses: [131072], pages: [] },
    { t: 'done' },
  );
  assert.deepEqual(await damagedParts(client, volume), { addresses: [0, 65536, 131072], pages: [7] });
});

test('W6, W8: damage that does not rise, or has no end, ends the call', async () => {
  const falling = await answeredBy({ t: 'damage', addresses: [65536, 0], pages: [] }, { t: 'done' });
  await assert.rejects(damagedParts(falling.client, volume), { code: 'protocol' });
  const twice = await answeredBy(
    { t: 'damage', addresses: [], pages: [7] },
    { t: 'damage', addresses: [], pages: [7] },
    { t: 'done' },
  );
  await assert.rejects(damagedParts(twice.client, volume), { code: 'protocol' });
  const pieces = Array.from({ length: MAX_DAMAGE / 1024 + 1 }, (_, piece) => ({
    t: 'damage' as const,
    addresses: Array.from({ length: 1024 }, (_, at) => piece * 1024 + at),
    pages: [],
  }));
  const endless = await answeredBy(...pieces, { t: 'done' });
  await assert.rejects(damagedParts(endless.client, volume), { code: 'protocol' });
  assert.equal(endless.client.failure?.code, 'protocol');
});

test('W5: another answer than the question has ends the call', async () => {
  const { client } = await answeredBy({ t: 'freed', bytes: 1 });
  await assert.rejects(protect(client, volume, session, true), { code: 'protocol' });
  await assert.rejects(
    freedByPruning(client, volume, Array<SessionName>(MAX_PRUNED + 1).fill(session)),
    { code: 'usage' },
    'more than one message holds',
  );
});
