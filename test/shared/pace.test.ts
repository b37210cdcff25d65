import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../../shared/pace.ts';

test('no more bytes a second than allowed, however they come', async () => {
  const began = performance.now();
  const pace = new Pace(1_000_000);
  for (const bytes of [1, 100_000, 0, 50_000, 149_999]) await pace.spend(bytes);
  const took = performance.now() - began;
  assert.ok(took >= 275, `${took} ms for what is due in 300`);
});

test('as fast as it goes where nothing is said', async () => {
  const pace = new Pace(Infinity);
  // With the shortest wait for each file this would take longer than a test may.
  for (let file = 0; file < 100_000; file++) await pace.spend(2 ** 30);
});
