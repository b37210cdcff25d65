import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { acquireLock } from '../../../dom0-agent/process/flock.ts';
import { lineOf } from '../../../dom0-agent/proven-archive/archive-line.ts';
import { ArchiveState } from '../../../dom0-agent/proven-archive/archive-state.ts';
import { Pin } from '../../../dom0-agent/proven-archive/pin.ts';
import { setAside } from '../../../dom0-agent/proven-archive/set-aside.ts';
import { ArchiveInMemory, NAME } from '../../fixtures/archive-in-memory.ts';
import { fault } from '../content/objects.ts';

const options = (stateDir: string) => ({ stateDir, lockWait: 0, signal: new AbortController().signal });

const CHOICE = { codec: 'gzip', level: 1, creating: false } as const;

test('an archive that is set aside is not known any more, and lost is nothing of it: the key, the pin, the line', async (t) => {
  const { state, stateDir } = await ArchiveInMemory.make(t);
  const record = readFileSync(join(state.folder, 'record'));
  const pinned = new Pin(state).known;
  const aside = await setAside(NAME, options(stateDir));
  assert.equal(ArchiveState.exists(stateDir, NAME), false);
  assert.deepEqual(aside.line, lineOf(pinned));
  assert.equal(aside.folder, join(stateDir, 'set-aside', aside.folder.split('/').at(-1)!));
  assert.deepEqual(readFileSync(join(aside.folder, 'record')), record);
  assert.deepEqual(readFileSync(join(aside.folder, 'current')), Buffer.from(pinned.bytes));
  aside.putBack();
  assert.deepEqual(new Pin(ArchiveState.open(stateDir, NAME)).known.hash, pinned.hash);
});

test('putting it back never replaces what was made in its place', async (t) => {
  const { state, stateDir } = await ArchiveInMemory.make(t);
  const aside = await setAside(NAME, options(stateDir));
  const other = ArchiveState.create(stateDir, NAME, state.record, CHOICE);
  aside.putBack();
  assert.equal(ArchiveState.open(stateDir, NAME).settings.writer, other.settings.writer);
  assert.ok(existsSync(join(aside.folder, 'record')));
});

test('several of one second have names of their own', async (t) => {
  const { state, stateDir } = await ArchiveInMemory.make(t);
  for (let time = 0; time < 3; time++) {
    await setAside(NAME, options(stateDir));
    ArchiveState.create(stateDir, NAME, state.record, CHOICE);
  }
  assert.equal(readdirSync(join(stateDir, 'set-aside')).length, 3);
});

test('G3 damaged state can be set aside, too: it only has no line to compare', async (t) => {
  for (const file of ['current', 'record', 'settings.json']) {
    const { state, stateDir } = await ArchiveInMemory.make(t);
    writeFileSync(join(state.folder, file), 'garbage');
    const aside = await setAside(NAME, options(stateDir));
    assert.equal(aside.line, undefined);
    assert.equal(readFileSync(join(aside.folder, file), 'utf8'), 'garbage');
  }
});

test('not under a command that writes; one that waited for the lock notices that its state was replaced', async (t) => {
  const { state, stateDir } = await ArchiveInMemory.make(t);
  const lock = await acquireLock(join(state.folder, 'lock'), { exclusive: true, waitSeconds: 0 });
  await assert.rejects(setAside(NAME, options(stateDir)), fault('locked'));
  assert.ok(ArchiveState.exists(stateDir, NAME));
  lock.release();
  assert.equal(state.isReplaced(NAME), false);
  await setAside(NAME, options(stateDir));
  assert.equal(state.isReplaced(NAME), true);
  ArchiveState.create(stateDir, NAME, state.record, CHOICE);
  assert.equal(state.isReplaced(NAME), true, 'the same archive, and another writer');
});
