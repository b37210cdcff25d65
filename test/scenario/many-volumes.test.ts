// Four hundred volumes with four sessions each: a command asks for one listing, and for a few things of each volume.

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ArchiveState } from '../../dom0-agent/proven-archive/archive-state.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { limit } from '../fixtures/limits.ts';
import { Random } from '../fixtures/random.ts';
import { writeSessions } from '../fixtures/written-sessions.ts';
import { listDocument, sendDocument, verifyDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');
const VOLUMES = 400;
const SESSIONS = 4;
const SIZE = 64 * 1024;
const HOUR = 3_600_000;
/** Messages of a call that are about no volume. */
const ONCE = 20;

test('a command takes one listing, and a few messages for each volume', { timeout: limit(600_000) }, async (t) => {
  const random = new Random('many volumes');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  const names = Array.from({ length: VOLUMES }, (_, number) => `${String(number)}.img`);
  for (const name of names) lab.write(name, random.bytes(SIZE));
  await lab.init('--chunk-size', '64K');
  const written = { names, sessions: SESSIONS - 1, size: SIZE, from: Date.now() - 5 * HOUR };
  writeSessions(join(lab.root, lab.archive), ArchiveState.open(lab.stateDir, lab.archive as ArchiveName), written);

  const trace = join(lab.folder, 'trace');
  /** What the agent sends, by kind. */
  const asked = async (...args: string[]) => {
    rmSync(trace, { force: true });
    const ran = (await lab.run(['--json', ...args], lab.interposed(null, trace))).expect(0);
    const counts: Record<string, number> = {};
    for (const line of readFileSync(trace, 'utf8').trim().split('\n')) {
      const [from, kind = ''] = line.split(' ');
      if (from === 'agent') counts[kind] = (counts[kind] ?? 0) + 1;
    }
    t.diagnostic(`${args.join(' ')}: ${JSON.stringify(counts)}`);
    assert.equal(counts['get-volumes'], 1, args.join(' '));
    return { ran, counts, total: Object.values(counts).reduce((sum, count) => sum + count, 0) };
  };

  const sent = await asked('send');
  assert.ok(sent.ran.json(sendDocument).volumes.every(({ kind }) => kind === 'incremental'));
  assert.deepEqual([sent.counts.begin, sent.counts.commit], [VOLUMES, VOLUMES]);
  assert.equal(sent.counts['put-catalogue'], 1);
  // Before it: head, index, damage. Sent: begin, chunk, page, index in parts, head. Then head, index, page and chunk
  // are read back.
  assert.ok(sent.total <= 13 * VOLUMES + ONCE, String(sent.total));

  const listed = await asked('list');
  const { volumes } = listed.ran.json(listDocument);
  assert.equal(volumes.length, VOLUMES);
  assert.ok(volumes.every(({ sessions }) => sessions.length === SESSIONS));
  assert.ok(listed.total <= VOLUMES + ONCE, String(listed.total));
  assert.ok((await asked('list')).total <= VOLUMES + ONCE);

  const verified = await asked('verify');
  assert.equal(verified.ran.json(verifyDocument).sessions.length, VOLUMES);
  assert.ok(verified.total <= 4 * VOLUMES + ONCE, String(verified.total));
  const everything = await asked('verify', '--all-sessions');
  assert.equal(everything.ran.json(verifyDocument).sessions.length, VOLUMES * SESSIONS);
  assert.equal(everything.counts['get-heads'], VOLUMES);
  assert.ok(everything.total <= VOLUMES + 3 * VOLUMES * SESSIONS + ONCE, String(everything.total));

  const unchanged = await asked('send');
  assert.ok(unchanged.ran.json(sendDocument).volumes.every(({ kind }) => kind === 'unchanged'));
  assert.equal(unchanged.counts.begin, undefined);
  // Head, index, damage and page; then page and chunk of those whose turn it is to be read back.
  assert.ok(unchanged.total <= 6 * VOLUMES + ONCE, String(unchanged.total));
});
