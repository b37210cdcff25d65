import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionTimes } from '../../../dom0-agent/maintain/session-times.ts';
import { ArchiveInMemory, sessionOn, timeOn, volumeId } from '../../fixtures/archive-in-memory.ts';

const WORK = volumeId('work');

/** Asks for the times of all sessions. @returns them, and how many heads the receiver was asked for */
async function timesOf(archive: ArchiveInMemory, fetches = true, lie?: (session: string) => Uint8Array | undefined) {
  let asked = 0;
  archive.lies = (honest) => ({
    *heads(volume, sessions) {
      asked += sessions.length;
      for (const head of honest.heads(volume, sessions)) yield { ...head, data: lie?.(head.session) ?? head.data };
    },
  });
  const open = await archive.open();
  const times = await sessionTimes(open, await open.reader.volumes(), fetches);
  return { asked, times: Object.fromEntries(times.get(WORK) ?? []) };
}

test('a session’s time is what its proven head says, whatever its name says; it is asked for once', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1]);
  await archive.commit('work', [2], { time: timeOn(400) });
  const expected = { [sessionOn(1)]: timeOn(1), [sessionOn(2)]: timeOn(400) };
  assert.deepEqual(await timesOf(archive), { asked: 2, times: expected });
  assert.deepEqual(await timesOf(archive), { asked: 0, times: expected }, 'from memory');
  await archive.commit('work', [500]);
  assert.deepEqual((await timesOf(archive)).asked, 1, 'only what is new');
});

test('where nothing may be fetched, what is not known has no time, and the memory stays', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1]);
  assert.deepEqual(await timesOf(archive, false), { asked: 0, times: {} });
  await timesOf(archive);
  await archive.commit('work', [2]);
  const known = { [sessionOn(1)]: timeOn(1) };
  assert.deepEqual(await timesOf(archive, false), { asked: 0, times: known });
});

test('A1 a head that proves nothing gives no time, and is not remembered', async (t) => {
  const archive = await ArchiveInMemory.make(t);
  await archive.commit('work', [1, 2]);
  const lie = (session: string) => (session === sessionOn(1) ? new Uint8Array(100) : undefined);
  assert.deepEqual((await timesOf(archive, true, lie)).times, { [sessionOn(2)]: timeOn(2) });
  const { asked, times } = await timesOf(archive);
  assert.deepEqual([asked, times[sessionOn(1)]], [1, timeOn(1)]);
});
