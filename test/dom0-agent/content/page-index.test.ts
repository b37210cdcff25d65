import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PageIndex } from '../../../dom0-agent/content/page-index.ts';
import { Random } from '../../fixtures/random.ts';

const HASH = 32;
const zeros = new Uint8Array(HASH);

describe('the index of pages', () => {
  it('is an array of hashes with trailing zeros dropped, whatever is set in which order', () => {
    const random = new Random('page index');
    let sets = 0;
    for (let round = 0; round < 200; round++) {
      const model: Buffer[] = [];
      const before = random.bytes(HASH * random.int(6));
      const index = new PageIndex(before);
      for (let at = 0; at < before.length; at += HASH) model[at / HASH] = before.subarray(at, at + HASH);
      for (let step = random.int(20); step > 0; step--, sets++) {
        const range = random.int(40);
        const hash = random.once(3) ? Buffer.from(zeros) : random.bytes(HASH);
        index.set(range, hash);
        model[range] = hash;
      }
      const ranges = random.int(50);
      const flat = Array.from({ length: 60 }, (_, range) => model[range] ?? Buffer.from(zeros));
      for (const [range, hash] of flat.entries()) {
        assert.deepEqual(Buffer.from(index.hash(range)), hash);
        assert.equal(index.isZero(range), hash.equals(zeros));
      }
      assert.deepEqual(Buffer.from(index.below(ranges)), Buffer.concat(flat.slice(0, ranges)));
      const kept = flat.slice(0, ranges);
      while (kept.at(-1)?.equals(zeros) === true) kept.pop();
      assert.deepEqual(Buffer.from(index.entries(ranges)), Buffer.concat(kept));
    }
    assert.ok(sets > 1000);
  });

  it('is a copy of what it began with', () => {
    const before = new Uint8Array(HASH).fill(1);
    const index = new PageIndex(before);
    index.set(0, zeros);
    assert.equal(before[0], 1);
    const taken = index.below(1);
    index.set(0, new Uint8Array(HASH).fill(2));
    assert.equal(taken[0], 0);
  });
});
