// Volumes that come and go while they are looked for, in pools that tell what a test wants.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pool } from '../../../dom0-agent/capture/pools.ts';
import { selectVolumes } from '../../../dom0-agent/capture/selection.ts';
import { nameMatcher } from '../../../dom0-agent/source/glob.ts';
import { SparsebakError } from '../../../shared/errors.ts';

/** A pool that has these volumes at each look, the last for all that follow; or fails. */
function poolOf(name: string, volumes: readonly string[], looks: readonly (readonly string[] | Error)[]) {
  let looked = 0;
  const list = (patterns: readonly string[], excludes: readonly string[]) => {
    const there = looks[Math.min(looked++, looks.length - 1)]!;
    if (there instanceof Error) return Promise.reject(there);
    return Promise.resolve({ volumes: there.filter(nameMatcher(patterns, excludes)), leftOut: [] });
  };
  const pool = { pool: name, config: { type: 'reflink', name, volumes, exclude: [] }, source: { list } };
  return { pool: pool as unknown as Pool, looks: () => looked };
}

const shown = ({ volumes, skipped }: Awaited<ReturnType<typeof selectVolumes>>) => ({
  volumes: volumes.map(({ volume, missing, pool }) => `${volume} in ${pool.pool}${missing ? ', missing' : ''}`),
  skipped: skipped.map(({ name, kind }) => `${name} ${kind}`),
});

describe('the volumes of a command', () => {
  const none = () => [];

  it('are looked for a second time where one is missing: a qube that stops renames it', async () => {
    for (const [patterns, known] of [
      [['*'], ['a', 'b']],
      [['a', 'b'], []],
    ] as const) {
      const { pool, looks } = poolOf('main', patterns, [['a'], ['a', 'b']]);
      const selection = await selectVolumes([pool], { names: [], known: () => known });
      assert.deepEqual(shown(selection), { volumes: ['a in main', 'b in main'], skipped: [] });
      assert.equal(looks(), 2);
    }
    const { pool } = poolOf('main', ['*'], [['a']]);
    assert.deepEqual(shown(await selectVolumes([pool], { names: [], known: () => ['b'] })), {
      volumes: ['a in main', 'b in main, missing'],
      skipped: [],
    });
  });

  it('are not waited for where all are there, or none of those that are named is missing', async () => {
    const all = poolOf('main', ['*'], [['a', 'b']]);
    await selectVolumes([all.pool], { names: [], known: () => ['a'] });
    const named = poolOf('main', ['*'], [['a']]);
    await selectVolumes([named.pool], { names: ['a'], known: () => ['b'] });
    assert.deepEqual([all.looks(), named.looks()], [1, 1]);
  });

  it('that another pool has by now are not missing', async () => {
    const [one, two] = [poolOf('one', ['*'], [['a']]), poolOf('two', ['*'], [['b']])];
    const selection = await selectVolumes([one.pool, two.pool], { names: [], known: () => ['a', 'b'] });
    assert.deepEqual(shown(selection), { volumes: ['a in one', 'b in two'], skipped: [] });
  });

  it('that a failing pool may have are its failures, and not what another pool has lost', async () => {
    const broken = new SparsebakError('source', 'the pool is not there');
    const [one, two] = [poolOf('one', ['*'], [['a']]), poolOf('two', ['b*', 'named'], [broken])];
    const selection = await selectVolumes([one.pool, two.pool], { names: [], known: () => ['a', 'b1', 'c'] });
    assert.deepEqual(shown(selection), {
      volumes: ['a in one', 'c in one, missing'],
      skipped: ['b1 failed', 'named failed'],
    });
    const only = await selectVolumes([one.pool, two.pool], { names: ['b7'], known: none });
    assert.deepEqual(shown(only), { volumes: [], skipped: ['b7 failed'] });
    await assert.rejects(selectVolumes([two.pool], { names: ['c'], known: none }), { code: 'not-found' });
    const unknown = await selectVolumes([poolOf('two', ['b*'], [broken]).pool], { names: [], known: none });
    assert.deepEqual(shown(unknown), { volumes: [], skipped: ['pool two failed'] });
  });
});
