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

test('a pause gives no more than a second of the rate', async () => {
  const pace = new Pace(1_000_000);
  await pace.spend(1);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const began = performance.now();
  await pace.spend(1_200_000);
  const took = performance.now() - began;
  assert.ok(took >= 150, `${took} ms for what is due in 200`);
});

test('a wait ends at once when it is aborted, also one that is longer than a timer can be', async () => {
  const abort = new AbortController();
  const waited = new Pace(1).spend(4 * 2 ** 20 * 1000, abort.signal).then(() => 'ended');
  const early = await Promise.race([waited, new Promise((resolve) => setTimeout(resolve, 100, 'waits'))]);
  assert.equal(early, 'waits');
  abort.abort();
  assert.equal(await waited, 'ended');
});

test('as fast as it goes where nothing is said', async () => {
  const pace = new Pace(Infinity);
  // With the shortest wait for each file this would take longer than a test may.
  for (let file = 0; file < 100_000; file++) await pace.spend(2 ** 30);
});
