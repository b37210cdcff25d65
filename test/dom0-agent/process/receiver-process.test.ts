// A receiver's process as the agent sees it: a real receiver, started by a shell that leaves something behind.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ReceiverClient } from '../../../dom0-agent/link/client.ts';
import { lastWords } from '../../../dom0-agent/process/receiver-stderr.ts';
import type { Link } from '../../../dom0-agent/link/link.ts';
import { openProcessLink } from '../../../dom0-agent/process/receiver-process.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { RECEIVER } from '../../scenario/program.ts';

interface TestLike {
  after: (cleanUp: () => void) => void;
}

/** A receiver behind a shell's command; what the command started is ended with the test. */
async function behind(t: TestLike, command: string, ownGroup = false): Promise<{ link: Link; jobs: () => number[] }> {
  const folder = scratchFor(t);
  const file = join(folder, 'jobs');
  const jobs = (): number[] =>
    existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number).filter(isAlive) : [];
  t.after(() => {
    for (const pid of jobs()) process.kill(pid, 'SIGKILL');
  });
  const script = command.replaceAll('@JOBS', file);
  const args = ['-c', script, process.execPath, RECEIVER, 'serve', '--root', folder];
  const explain = () => ({ message: '', hint: '' });
  return { link: await openProcessLink({ name: 'test', file: 'sh', args, explain, ownGroup }), jobs };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${String(pid)}/stat`, 'utf8').includes(') Z');
  } catch {
    return false;
  }
}

test('W7 a job that keeps the output open is not waited for, and the receiver itself is gone', async (t) => {
  const { link, jobs } = await behind(t, 'sleep 1000 & echo $! > "@JOBS"; exec "$0" "$@"');
  const client = await ReceiverClient.connect(link, { release: 'test' });
  await client.bye();
  assert.equal(client.failure, undefined);
  assert.equal(jobs().length, 1, 'the job is nobody’s business here');
});

test('W7 a process that does not end after its answer to bye is ended', async (t) => {
  const { link, jobs } = await behind(t, 'echo $$ > "@JOBS"; "$0" "$@"; sleep 1000');
  const client = await ReceiverClient.connect(link, { release: 'test' });
  await client.bye();
  assert.equal(client.failure, undefined);
  const end = await link.ended;
  assert.equal(end.signal, 'SIGTERM');
  assert.deepEqual(jobs(), []);
});

test('G1 what must end with the process does', async (t) => {
  const { link, jobs } = await behind(t, 'sleep 1000 & echo $! > "@JOBS"; "$0" "$@"; wait', true);
  const client = await ReceiverClient.connect(link, { release: 'test' });
  assert.equal(jobs().length, 1);
  await client.bye();
  await link.ended;
  // It was sent the same signal, and may be a moment behind.
  while (jobs().length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('W12 what a process said last is a line: a crash’s reason, a log’s message', () => {
  const crash = [
    'node:internal/modules/cjs/loader:1143',
    '  throw err;',
    '  ^',
    '',
    "Error: Cannot find module '/usr/local/lib/sparsebak/sparsebak-receiver.js'",
    '    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)',
    '    at node:internal/main/run_main_module:23:47 {',
    "  code: 'MODULE_NOT_FOUND',",
    '  requireStack: []',
    '}',
    '',
    'Node.js v20.15.1',
  ].join('\n');
  assert.equal(
    lastWords(crash),
    "Error: Cannot find module '/usr/local/lib/sparsebak/sparsebak-receiver.js'; Node.js v20.15.1",
  );
  const log = '{"level":50,"time":1,"code":"io","cause":"EIO: i/o error","msg":"the disk cannot be read"}';
  assert.equal(lastWords(`a banner\n${log}\n`), 'a banner; the disk cannot be read (EIO: i/o error)');
  assert.equal(lastWords('one\ntwo\nthree\nfour\n'), 'two; three; four');
  assert.equal(lastWords('{"not": a log\n\u001b[2J{"msg": 7}'), '{"not": a log; \\u{1b}[2J{"msg": 7}');
  assert.equal(lastWords('{"msg": 7}\n\n'), '{"msg": 7}');
  assert.equal(lastWords(''), '');
});
