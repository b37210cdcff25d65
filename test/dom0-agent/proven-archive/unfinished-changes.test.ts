import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  hasUnfinishedChanges,
  noteChanges,
  strikeOutChanges,
  unfinishedChanges,
  type Change,
} from '../../../dom0-agent/proven-archive/unfinished-changes.ts';
import { ArchiveInMemory } from '../../fixtures/archive-in-memory.ts';
import { cutAtEach } from '../../fixtures/cut-off.ts';
import { OTHER_VOLUME, VOLUME } from '../content/objects.ts';

const DELETED: Change = { volume: VOLUME };
const RENAMED: Change = { volume: VOLUME, was: 'work' };
const OTHER: Change = { volume: OTHER_VOLUME };

test('what an earlier command could not finish stays noted until it is done', async (t) => {
  const { state } = await ArchiveInMemory.make(t);
  assert.deepEqual([hasUnfinishedChanges(state), unfinishedChanges(state)], [false, []]);
  noteChanges(state, [RENAMED]);
  noteChanges(state, [OTHER, RENAMED]);
  assert.deepEqual(unfinishedChanges(state), [RENAMED, OTHER], 'each once');
  noteChanges(state, [DELETED]);
  strikeOutChanges(state, [OTHER]);
  assert.deepEqual(unfinishedChanges(state), [RENAMED, DELETED]);
  strikeOutChanges(state, [RENAMED, DELETED]);
  assert.deepEqual([hasUnfinishedChanges(state), unfinishedChanges(state)], [false, []]);
  strikeOutChanges(state, [RENAMED]);
});

test('a change that needs nothing more leaves no note', async (t) => {
  const { state } = await ArchiveInMemory.make(t);
  noteChanges(state, []);
  assert.equal(hasUnfinishedChanges(state), false);
});

test('G3 a note that cannot be read stands for all volumes, until all were looked at', async (t) => {
  const { state, ...archive } = await ArchiveInMemory.make(t);
  const file = `${archive.stateDir}/archives/laptop/unfinished-changes`;
  noteChanges(state, [RENAMED]);
  const whole = readFileSync(file, 'utf8');
  for (const text of ['', whole.slice(0, -5), '{}', '[{"volume":"../x"}]', '[{"volume":1}]']) {
    writeFileSync(file, text);
    assert.equal(unfinishedChanges(state), 'all', text);
    noteChanges(state, [OTHER]);
    strikeOutChanges(state, [OTHER]);
    assert.equal(unfinishedChanges(state), 'all', `${text}: one change more or less says nothing of the rest`);
    strikeOutChanges(state, 'all');
    assert.ok(!existsSync(file));
  }
});

test('G1 cut off anywhere, the note is the one of before or of after, never a damaged one', async (t) => {
  const cuts = async (change: (state: ArchiveInMemory['state']) => void) => {
    const found: unknown[] = [];
    await cutAtEach(async () => {
      const { state } = await ArchiveInMemory.make(t);
      noteChanges(state, [RENAMED]);
      const after = () => {
        found.push(unfinishedChanges(state));
        return Promise.resolve();
      };
      return {
        work: () => {
          change(state);
        },
        after,
      };
    });
    return found;
  };
  const noted = await cuts((state) => {
    noteChanges(state, [OTHER]);
  });
  assert.deepEqual([noted[0], noted.at(-1)], [[RENAMED], [RENAMED, OTHER]]);
  for (const found of noted) assert.equal((found as Change[])[0]?.was, 'work');
  const struck = await cuts((state) => {
    strikeOutChanges(state, [RENAMED]);
  });
  assert.deepEqual([struck[0], struck.at(-1)], [[RENAMED], []]);
  assert.ok(!struck.includes('all'));
});
