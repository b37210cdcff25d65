import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { acquireLock } from '../../../dom0-agent/process/flock.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

/** Whether another process gets it at once. */
function isFree(path: string, mode = '--exclusive'): boolean {
  return spawnSync('flock', [mode, '--nonblock', path, 'true']).status === 0;
}

describe('a lock between processes', () => {
  it('keeps others out until it is released', async (t) => {
    const path = join(scratchFor(t), 'lock');
    const lock = await acquireLock(path, { exclusive: true, waitSeconds: 0 });
    assert.equal(isFree(path), false);
    lock.release();
    lock.release();
    assert.equal(isFree(path), true);
  });

  it('is shared by those who ask for no more', async (t) => {
    const path = join(scratchFor(t), 'lock');
    const locks = await Promise.all([1, 2].map(() => acquireLock(path, { exclusive: false, waitSeconds: 0 })));
    assert.deepEqual([isFree(path, '--shared'), isFree(path)], [true, false]);
    for (const lock of locks) lock.release();
    assert.equal(isFree(path), true);
  });

  it('is waited for, which is said, until the wait is over', async (t) => {
    const path = join(scratchFor(t), 'lock');
    const first = await acquireLock(path, { exclusive: true, waitSeconds: 0 });
    let waits = 0;
    const options = { exclusive: true, onWait: () => waits++ };
    await assert.rejects(acquireLock(path, { ...options, waitSeconds: 0 }), { code: 'locked', exitStatus: 6 });
    await assert.rejects(acquireLock(path, { ...options, waitSeconds: 0.2 }), { code: 'locked', hint: /lock-wait/ });
    const second = acquireLock(path, { ...options, waitSeconds: 30 });
    await delay(50);
    first.release();
    (await second).release();
    assert.equal(waits, 3);
  });

  it('goes when its holder is killed', async (t) => {
    const path = join(scratchFor(t), 'lock');
    const module = new URL('../../../dom0-agent/process/flock.ts', import.meta.url).href;
    const script = `const { acquireLock } = await import(${JSON.stringify(module)});
      await acquireLock(${JSON.stringify(path)}, { exclusive: true, waitSeconds: 0 });
      console.log('held'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    assert.equal(isFree(path), false);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    assert.equal(isFree(path), true);
  });

  it('says what is wrong with a path that cannot be', async (t) => {
    await assert.rejects(acquireLock(join(scratchFor(t), 'no/folder'), { exclusive: true, waitSeconds: 0 }), {
      code: 'io',
    });
  });
});
