// A lock that is kept between two uses, as real processes have it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isWaitedFor } from '../../shared/lock-waiters.ts';
import { limit } from '../fixtures/limits.ts';
import { scratchFor } from '../fixtures/scratch.ts';

const TAKING_TURNS = fileURLToPath(new URL('taking-turns.ts', import.meta.url));

async function takeTurns(t: TestContext, kind: 'agent' | 'receiver'): Promise<void> {
  const folder = scratchFor(t);
  const [number, users] = [join(folder, 'number'), join(folder, 'users')];
  writeFileSync(number, '0');
  writeFileSync(users, '');
  const children = ['one', 'two'].map((name) =>
    spawn(process.execPath, [TAKING_TURNS, kind, folder, name], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  t.after(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const ends = await Promise.all(children.map((child) => once(child, 'exit')));
  assert.deepEqual(
    ends.map(([status]) => status as unknown),
    [0, 0],
    'each got the lock each time',
  );
  const uses = readFileSync(users, 'utf8').trim().split('\n');
  t.diagnostic(`${String(uses.length)} uses`);
  assert.equal(Number(readFileSync(number, 'utf8')), uses.length, 'no use undid another');
}

for (const kind of ['agent', 'receiver'] as const) {
  const title = `S10 the ${kind}'s lock goes from one busy process to the other, and no change is lost`;
  test(title, { timeout: limit(120_000) }, (t) => takeTurns(t, kind));
}

test('a lock is waited for as soon as a process waits for it, and no longer', async (t) => {
  const path = join(scratchFor(t), 'lock');
  const fd = openSync(path, 'a');
  t.after(() => {
    closeSync(fd);
  });
  const { ino } = fstatSync(fd, { bigint: true });
  await once(spawn('flock', ['3'], { stdio: ['ignore', 'ignore', 'inherit', fd] }), 'exit');
  assert.equal(isWaitedFor(ino), false);
  const waiting = spawn('flock', [path, 'true'], { stdio: 'ignore' });
  const ended = once(waiting, 'exit');
  while (!isWaitedFor(ino)) await delay(10);
  waiting.kill('SIGKILL');
  await ended;
  assert.equal(isWaitedFor(ino), false);
});
