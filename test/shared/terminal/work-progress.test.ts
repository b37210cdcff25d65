import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Work } from '../../../shared/terminal/work-progress.ts';

test('pieces add up to the run, and what turns out to be no work is no part of it', () => {
  const work = new Work();
  work.expect('a', 100);
  work.expect('b', 1000);
  assert.deepEqual([work.done, work.total], [0, 1100]);
  work.start('a', 80);
  assert.equal(work.total, 1080);
  assert.equal(work.label, 'a (1 of 2)');
  work.add(30);
  work.skip(40);
  assert.deepEqual([work.done, work.total], [30, 1040]);
  work.start('b', 1000);
  assert.deepEqual([work.done, work.total], [30, 1030], 'what was left of a is nothing');
  work.add(1200);
  assert.deepEqual([work.done, work.total], [1230, 1230], 'more than was thought');
  work.finish();
  work.start('c', 5);
  assert.equal(work.label, 'c (3 of 3)');
  work.finish();
  assert.deepEqual([work.done, work.total], [1230, 1230]);
});

test('a piece alone has no number', () => {
  const work = new Work();
  work.start('a', 1);
  assert.equal(work.label, 'a');
});

const step = fc.oneof(
  fc.record({
    do: fc.constantFrom('expect' as const, 'start' as const),
    name: fc.constantFrom('a', 'b', 'c'),
    bytes: fc.nat(100),
  }),
  fc.record({ do: fc.constantFrom('add' as const, 'skip' as const), bytes: fc.nat(100) }),
  fc.constant({ do: 'finish' as const }),
);

test('whatever comes, nothing is ever over 100 %, and what is done never becomes less', () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const work = new Work();
      let before = 0;
      for (const each of steps) {
        if (each.do === 'finish') work.finish();
        else if ('name' in each) work[each.do](each.name, each.bytes);
        else work[each.do](each.bytes);
        assert.ok(work.done >= before && work.done <= work.total);
        before = work.done;
      }
    }),
  );
});
