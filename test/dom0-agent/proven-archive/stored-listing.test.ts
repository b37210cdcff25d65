// What a receiver may list, and where dom0 stops listening.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_VOLUMES } from '../../../dom0-agent/content/catalogue.ts';
import { ReceiverClient } from '../../../dom0-agent/link/client.ts';
import { MAX_SESSIONS, listVolumes } from '../../../dom0-agent/proven-archive/stored-listing.ts';
import type { SessionName, VolumeId } from '../../../shared/archive/names.ts';
import type { ReceiverMessage } from '../../../shared/wire/messages.ts';
import { sessionOn } from '../../fixtures/archive-in-memory.ts';
import { fault } from '../content/objects.ts';
import { ScriptedLink } from '../link/scripted-link.ts';

type Volume = Extract<ReceiverMessage, { t: 'volume' }>;
type Lost = Extract<ReceiverMessage, { t: 'lost' }>;
type Listed = Omit<Volume, 're'> | Omit<Lost, 're'>;

const id = (number: number) => number.toString(16).padStart(32, '0') as VolumeId;

function volume(number: number, sessions: readonly SessionName[]): Listed {
  const stored = { storedBytes: 7, files: 2, protected: false };
  return { t: 'volume', volume: id(number), sessions: sessions.map((session) => ({ session, ...stored })) };
}

const lost = (number: number, message = 'an I/O error'): Listed => ({ t: 'lost', name: id(number), message });

const days = (...numbers: readonly number[]) => numbers.map(sessionOn);

/** Sessions a day apart, as many as are wanted. */
const many = (count: number) => Array.from({ length: count }, (_, at) => sessionOn(1 + at));

/** Dom0 stops listening at the last of these items, and not before. */
async function refusesOnlyTheLast(count: number, item: (number: number) => Listed): Promise<void> {
  let said = 0;
  const items = function* (): Generator<Listed> {
    for (; said < count; said++) yield item(said);
  };
  await assert.rejects(listed(items()), fault('protocol'));
  assert.ok(said >= count - 1, `it ended at item ${said}`);
}

/** What dom0 makes of a listing. */
async function listed(items: Iterable<Listed>, most?: number) {
  const link = new ScriptedLink();
  const connecting = ReceiverClient.connect(link, { release: 'test' });
  link.greet();
  const client = await connecting;
  link.onHeard((message) => {
    if (message.t !== 'get-volumes') return;
    for (const item of items) {
      if (client.failure !== undefined) return;
      link.say({ ...item, re: message.id });
    }
    link.say({ t: 'done', re: message.id });
  });
  return await listVolumes(client, most);
}

test('a volume’s sessions may come in several pieces, those of others between them', async () => {
  const listing = await listed([volume(1, days(1, 2)), volume(2, days(1)), volume(1, days(3))]);
  assert.deepEqual(listing.names(id(1)), days(1, 2, 3));
  assert.deepEqual(listing.names(id(2)), days(1));
  assert.deepEqual(listing.names(id(3)), []);
});

test('a session twice, or out of order, ends the call', async () => {
  await assert.rejects(listed([volume(1, days(1, 1))]), fault('protocol'));
  await assert.rejects(listed([volume(1, days(2, 1))]), fault('protocol'));
  await assert.rejects(listed([volume(1, days(1, 2)), volume(1, days(2))]), fault('protocol'));
});

test('A7 more sessions of a volume than the archive ever had: the newest stay, the others are counted', async () => {
  const listing = await listed([volume(1, days(1, 2, 3, 4, 5)), volume(2, days(4, 5))], 2);
  assert.deepEqual(listing.names(id(1)), days(4, 5));
  assert.deepEqual([...listing.surplus], [[id(1), { count: 3, oldest: sessionOn(1) }]]);
});

test('W8 a listing of volumes has an end, however many the receiver makes up', async () => {
  await refusesOnlyTheLast(2 * MAX_VOLUMES + 1, (number) => volume(number, days(1)));
});

test('W8 and so have sessions, whichever volumes they are of', async () => {
  const names = many(1024);
  await refusesOnlyTheLast(MAX_SESSIONS / names.length + 1, (number) => volume(number, names));
});

test('W8 volumes that have no session, and volumes that are lost, count, too', async () => {
  await refusesOnlyTheLast(1, (number) => volume(number, []));
  await refusesOnlyTheLast(2 * MAX_VOLUMES + 1, (number) => lost(number));
});

test('W12 why a volume is lost is told in the receiver’s words, made harmless', async () => {
  const { lost: found, size } = await listed([lost(1, `\u001b[2J${'x'.repeat(500)}`)]);
  assert.equal(size, 0);
  const why = found.get(id(1)) ?? '';
  assert.ok(!why.includes('\u001b') && why.length <= 310, why);
});
