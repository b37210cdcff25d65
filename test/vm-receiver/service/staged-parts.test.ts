import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MAX_SHORT_PARTS, PART_SIZE } from '../../../shared/wire/limits.ts';
import { Parts } from '../../../vm-receiver/service/staged-parts.ts';

it('W8 takes whole parts up to their bound, and few short ones: each costs more than its bytes', () => {
  const parts = new Parts();
  const add = (bytes: number, count: number) =>
    Array.from({ length: count }, () => parts.add(new Uint8Array(bytes))).findLast((problem) => problem !== undefined);
  assert.equal(add(PART_SIZE, 200), undefined);
  assert.equal(add(1, MAX_SHORT_PARTS), undefined);
  assert.match(add(1, 1) ?? '', /shorter than/);
  assert.equal(parts.take().length, 200 + MAX_SHORT_PARTS);
  assert.equal(add(1, MAX_SHORT_PARTS), undefined);
  assert.match(add(PART_SIZE, 256) ?? '', /more than 16777216 bytes/);
});
