import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Head } from '../../../dom0-agent/content/head.ts';
import { KnownHeads } from '../../../dom0-agent/proven-archive/known-heads.ts';
import { ArchiveInMemory } from '../../fixtures/archive-in-memory.ts';
import { OTHER_SESSION, OTHER_VOLUME, SESSION, VOLUME, headOf } from '../content/objects.ts';

/** A state whose memory has two sessions of one volume and one of another. */
async function remembering(t: test.TestContext) {
  const { state, ...archive } = await ArchiveInMemory.make(t);
  const head = (changes: Partial<Head> = {}): Head => headOf(state.record.archive, changes);
  const known = new KnownHeads(state);
  known.add(head());
  known.add(head({ session: OTHER_SESSION, base: SESSION, state: 'stopped', changedBytes: 7 }));
  known.add(head({ volume: OTHER_VOLUME, size: 5 }));
  known.save();
  return { state, head, file: `${state.folder}/heads`, archive };
}

test('what was proven once is known to the next command, each volume and session for itself', async (t) => {
  const { state, head } = await remembering(t);
  const known = new KnownHeads(state);
  const { sequence, size, changedBytes, time, state: running, base } = head();
  assert.deepEqual(known.get(VOLUME, SESSION), { sequence, size, changedBytes, time, state: running, base });
  const other = known.get(VOLUME, OTHER_SESSION);
  assert.deepEqual([other?.base, other?.state, other?.changedBytes], [SESSION, 'stopped', 7]);
  assert.equal(known.get(OTHER_VOLUME, SESSION)?.size, 5);
  assert.equal(known.get(OTHER_VOLUME, OTHER_SESSION), undefined);
});

test('a listing that proves nothing new leaves the file alone', async (t) => {
  const { state, file, head } = await remembering(t);
  const before = statSync(file).ino;
  const known = new KnownHeads(state);
  known.get(VOLUME, SESSION);
  known.add(head());
  known.save();
  assert.equal(statSync(file).ino, before);
  assert.ok(new KnownHeads(state).get(OTHER_VOLUME, SESSION));
});

test('sessions that nobody asked for are forgotten with the next new one: the memory grows with no archive', async (t) => {
  const { state, head } = await remembering(t);
  const known = new KnownHeads(state);
  known.get(VOLUME, OTHER_SESSION);
  known.add(head({ volume: OTHER_VOLUME, session: OTHER_SESSION }));
  known.save();
  const after = new KnownHeads(state);
  assert.ok(after.get(VOLUME, OTHER_SESSION));
  assert.ok(after.get(OTHER_VOLUME, OTHER_SESSION));
  assert.equal(after.get(VOLUME, SESSION), undefined);
  assert.equal(after.get(OTHER_VOLUME, SESSION), undefined);
});

test('G3 a memory that is cut short or changed in one byte knows nothing, and is made anew', async (t) => {
  const { state, head, file } = await remembering(t);
  const whole = readFileSync(file);
  for (let at = 0; at < whole.length; at += 7) {
    writeFileSync(file, whole.with(at, whole[at]! ^ 1));
    assert.equal(new KnownHeads(state).get(VOLUME, SESSION), undefined, `byte ${at}`);
    writeFileSync(file, whole.subarray(0, at));
    assert.equal(new KnownHeads(state).get(VOLUME, SESSION), undefined, `${at} bytes`);
  }
  const known = new KnownHeads(state);
  known.add(head({ size: 11 }));
  known.save();
  assert.equal(new KnownHeads(state).get(VOLUME, SESSION)?.size, 11);
});
