import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetDamage, foundDamage, noteDamage } from '../../../dom0-agent/proven-archive/found-damage.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { OTHER_SESSION, OTHER_VOLUME, SESSION, VOLUME } from '../content/objects.ts';

const ranges = (folder: string, volume = VOLUME, session = SESSION) => [...foundDamage(folder, volume, session)];

test('what two verifies find of one session is all sent anew', (t) => {
  const folder = scratchFor(t);
  assert.deepEqual(ranges(folder), []);
  noteDamage(folder, VOLUME, SESSION, new Set([20, 3]));
  noteDamage(folder, VOLUME, SESSION, new Set([3, 100]));
  noteDamage(folder, OTHER_VOLUME, SESSION, new Set([1]));
  assert.deepEqual(ranges(folder), [3, 20, 100], 'numbers, not words, in order');
  assert.deepEqual(ranges(folder, OTHER_VOLUME), [1]);
});

test('it holds for the session it was found in, since the next one has those ranges anew', (t) => {
  const folder = scratchFor(t);
  noteDamage(folder, VOLUME, SESSION, new Set([3]));
  assert.deepEqual(ranges(folder, VOLUME, OTHER_SESSION), []);
  noteDamage(folder, VOLUME, OTHER_SESSION, new Set([4]));
  assert.deepEqual(ranges(folder, VOLUME, OTHER_SESSION), [4]);
  assert.deepEqual(ranges(folder), [], 'and nothing of the older session is taken over');
});

test('a volume that was proven is forgotten, and no other', (t) => {
  const folder = scratchFor(t);
  noteDamage(folder, VOLUME, SESSION, new Set([3]));
  noteDamage(folder, OTHER_VOLUME, SESSION, new Set([1]));
  forgetDamage(folder, VOLUME);
  assert.deepEqual([ranges(folder), ranges(folder, OTHER_VOLUME)], [[], [1]]);
});

test('G3 a note that is damaged counts as nothing, and takes new findings', (t) => {
  const folder = scratchFor(t);
  const file = join(folder, 'damage.json');
  noteDamage(folder, VOLUME, SESSION, new Set([3]));
  const whole = readFileSync(file, 'utf8');
  for (const text of ['', whole.slice(0, -9), whole.replace('[3]', '[-3]'), whole.replace('"v":1', '"v":2'), '[]']) {
    writeFileSync(file, text);
    assert.deepEqual(ranges(folder), [], text);
    noteDamage(folder, VOLUME, SESSION, new Set([5]));
    assert.deepEqual(ranges(folder), [5], text);
  }
});

test('G2 where the state cannot be written, what was found has been said all the same', (t) => {
  const folder = join(scratchFor(t), 'not-there');
  noteDamage(folder, VOLUME, SESSION, new Set([3]));
  forgetDamage(folder, VOLUME);
  assert.deepEqual(ranges(folder), []);
});
