import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OrderedQueue } from '../../../dom0-agent/pipeline/ordered-queue.ts';

async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

describe('the ordered queue', () => {
  it('hands over in order and ends', async () => {
    const queue = new OrderedQueue<number>(3);
    const producing = (async () => {
      for (let item = 0; item < 100; item++) assert.equal(await queue.push(item), true);
      queue.end();
    })();
    const got: number[] = [];
    for (let item = await queue.shift(); item !== undefined; item = await queue.shift()) got.push(item);
    await producing;
    assert.deepEqual(
      got,
      Array.from({ length: 100 }, (_, item) => item),
    );
    assert.equal(await queue.shift(), undefined, 'and stays at its end');
  });

  it('I7 holds no more than its limit', async () => {
    const queue = new OrderedQueue<number>(2);
    let pushed = 0;
    const producing = (async () => {
      while (await queue.push(pushed)) pushed++;
    })();
    await turns();
    assert.equal(pushed, 2);
    await queue.shift();
    await turns();
    assert.equal(pushed, 3);
    assert.deepEqual(queue.abort(), [1, 2]);
    await producing;
  });

  it('gives an error behind the items that wait', async () => {
    const queue = new OrderedQueue<number>(5);
    await queue.push(1);
    queue.end(new Error('no more'));
    assert.equal(await queue.shift(), 1);
    await assert.rejects(queue.shift(), /no more/);
  });

  it('wakes a consumer that waits, by an item and by the end', async () => {
    const queue = new OrderedQueue<number>(5);
    const first = queue.shift();
    await queue.push(7);
    assert.equal(await first, 7);
    const second = queue.shift();
    queue.end();
    assert.equal(await second, undefined);
  });

  it('takes nothing more once the consumer gave up', async () => {
    const queue = new OrderedQueue<number>(1);
    await queue.push(1);
    const waiting = queue.push(2);
    assert.deepEqual(queue.abort(), [1]);
    assert.equal(await waiting, false);
    assert.equal(await queue.push(3), false);
  });
});
