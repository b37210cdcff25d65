import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unproven, provenSessions, type WantedHeads } from '../../../dom0-agent/proven-archive/session-heads.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import type { SessionName } from '../../../shared/archive/names.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import type { StoredHead } from '../../../vm-receiver/store/store.ts';
import { ArchiveInMemory, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { fault } from '../content/objects.ts';

const WORK = volumeId('work');
const days = (...numbers: readonly number[]) => numbers.map(sessionOn);

/** Proves the heads of these sessions. */
async function proven(archive: ArchiveInMemory, wanted: Omit<WantedHeads, 'volume'>) {
  const { reader, client } = await archive.open();
  const unproven = new Unproven();
  const sessions: SessionName[] = [];
  for await (const some of provenSessions(reader, { volume: WORK, ...wanted }, unproven)) {
    sessions.push(...some.map(({ head }) => head.session));
  }
  assert.equal(client.failure, undefined);
  const faults = new Map([...unproven.named].map(([session, { message }]) => [session, message]));
  return { sessions, unproven, faults };
}

/** The receiver shows these heads instead of its own; null for none. */
function show(archive: ArchiveInMemory, change: (head: StoredHead, all: readonly StoredHead[]) => StoredHead | null) {
  archive.lies = (honest) => ({
    *heads(volume, asked) {
      const all = [...honest.heads(volume, [])];
      for (const head of honest.heads(volume, asked)) {
        const shown = change(head, all);
        if (shown !== null) yield shown;
      }
    },
  });
}

test('every session that is proven comes, oldest first', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1, 2, 3]);
  await archive.commit('other', [2, 4]);
  const { sessions, unproven } = await proven(archive, { sessions: days(1, 2, 3) });
  assert.deepEqual([sessions, unproven.count], [days(1, 2, 3), 0]);
});

test('A1 A5 A7 a head that is missing, damaged or another’s costs its own session, and is named for what it is', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1, 2, 3, 4, 5]);
  show(archive, (head, all) => {
    if (head.session === sessionOn(1)) return null;
    if (head.session === sessionOn(2))
      return { ...head, data: head.data.map((byte, at) => (at === 60 ? byte ^ 1 : byte)) };
    if (head.session === sessionOn(4)) return { ...head, data: all[2]!.data };
    return head;
  });
  const { sessions, unproven, faults } = await proven(archive, { sessions: days(1, 2, 3, 4, 5) });
  assert.deepEqual([sessions, unproven.count], [days(3, 5), 3]);
  assert.deepEqual([...faults.keys()], days(1, 2, 4));
  assert.match(faults.get(sessionOn(1))!, new RegExp(`session ${sessionOn(1)} has no head`));
  for (const day of [2, 4])
    assert.match(faults.get(sessionOn(day))!, new RegExp(`^head of volume .*${sessionOn(day)}`));
});

test('A5 the newest must be the very head that the catalogue lists, authentic or not', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  const { head } = await archive.commit('work', [1, 2]);
  const expected = { session: sessionOn(2), hash: head! };
  assert.deepEqual((await proven(archive, { sessions: days(1, 2), expected })).sessions, days(1, 2));
  const other = { ...expected, hash: new Uint8Array(32) };
  const { sessions, faults } = await proven(archive, { sessions: days(1, 2), expected: other });
  assert.deepEqual(sessions, days(1));
  assert.match(faults.get(sessionOn(2))!, /catalogue/);
});

test('a head that the receiver cannot read is its session’s damage, in the receiver’s words', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1, 2]);
  archive.lies = (honest) => ({
    *heads(volume, [first, ...others], onLost) {
      onLost?.(first!, new Refusal('io', 'cannot read it\u0007'));
      yield* honest.heads(volume, others);
    },
  });
  const { sessions, faults } = await proven(archive, { sessions: days(1, 2) });
  assert.deepEqual(sessions, days(2));
  assert.match(faults.get(sessionOn(1))!, new RegExp(`${sessionOn(1)}: cannot read it\\\\`));
});

test('W8 of sessions that were made up by the thousand a hundred are named, and all are counted', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [3000]);
  const asked: number[] = [];
  archive.lies = (honest) => ({
    *heads(volume, sessions) {
      asked.push(sessions.length);
      for (const session of sessions) {
        if (session === sessionOn(3000)) yield* honest.heads(volume, [session]);
        else yield { session, data: new Uint8Array(100) };
      }
    },
  });
  const sessions = days(...Array.from({ length: 3000 }, (_, at) => at + 1));
  const { sessions: found, unproven, faults } = await proven(archive, { sessions });
  assert.deepEqual([found, unproven.count, faults.size], [days(3000), 2999, 100]);
  assert.deepEqual([...faults.keys()], sessions.slice(0, 100), 'the oldest');
  assert.ok(
    asked.every((count) => count <= 1024),
    'as many at a time as one request may name',
  );
});

test('W6 a head of a session that was not asked for ends the call', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1, 2]);
  show(archive, (head) => ({ ...head, session: sessionOn(2) }));
  const { reader, client } = await archive.open();
  await assert.rejects(reader.head(WORK, sessionOn(1)), fault('protocol'));
  assert.equal(client.failure?.code, 'protocol');
});

test('sessions that are pruned meanwhile are no damage any more', () => {
  const unproven = new Unproven();
  for (const session of days(1, 2, 3)) unproven.add(session, undefined);
  unproven.keepOnly(new Set(days(2)));
  assert.deepEqual([unproven.count, [...unproven.named.keys()]], [1, days(2)]);
  assert.ok(unproven.named.get(sessionOn(2)) instanceof SparsebakError);
});
