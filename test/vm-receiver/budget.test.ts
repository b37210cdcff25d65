import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemDisk, type Disk } from '../../vm-receiver/store/files/disk/disk.ts';
import { LINGERING } from '../../vm-receiver/store/files/layout/archive-locks.ts';
import { FilesStore } from '../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore } from '../../vm-receiver/store/store.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { root as project, type Peer } from './peer.ts';
import {
  CHUNK,
  LAPTOP,
  RANGE,
  VOLUME,
  bytes,
  commitSession,
  impatient,
  newArchive,
  pairingId,
  sessionName,
  stored,
} from './store/small-volumes.ts';
import { faultyDisk, type Fault } from './store/faulty-disk.ts';
import { CREATE, OPEN, begin, sendFirst, withReceivers } from './wire-session.ts';

const MIB = 2 ** 20;
const BUNDLE = join(project, 'dist/sparsebak-receiver.js');
const noBundle = existsSync(BUNDLE) ? false : 'there is no bundle: npm run build';

/** The most that the process had resident, in MiB. */
function peakOf(peer: Peer): number {
  const status = readFileSync(`/proc/${String(peer.child.pid)}/status`, 'utf8');
  return Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024;
}

test(
  'I7: at most 150 MiB, with the largest chunks, the longest index and a window of answers',
  { skip: noBundle },
  () =>
    withReceivers(async ({ start }) => {
      const peer = start({ program: BUNDLE });
      await peer.greet();
      const size = 4 * MIB;
      await peer.done({ ...CREATE, chunkSize: size } as typeof CREATE);
      await peer.done(OPEN);
      await peer.done(begin({ size: 16 * 2 ** 40 }));
      const data = Buffer.alloc(size + 100, 7);
      for (let chunk = 0; chunk < 40; chunk++) await peer.push({ t: 'chunk', address: chunk * size, data });
      await peer.push({ t: 'zeros', address: 40 * size, count: 2 ** 22 - 40 });
      for (let part = 0; part < 256; part++) await peer.push({ t: 'part', data: data.subarray(0, 65_536) });
      await peer.done({ t: 'commit', head: bytes('h') });
      const addresses = Array.from({ length: 40 }, (_, chunk) => chunk * size);
      const ids = [1, 2, 3].map(() =>
        peer.ask({ t: 'get-chunks', volume: VOLUME, session: sessionName(1), addresses }),
      );
      for (const id of ids) assert.equal((await peer.answerTo(id)).items.length, 40);
      const { items } = await peer.done({ t: 'get-index', volume: VOLUME, session: sessionName(1) });
      assert.equal(items.length, 256);
      const peak = peakOf(peer);
      console.log(`${peak.toFixed(0)} MiB at the most`);
      assert.ok(peak < 150, `${peak.toFixed(0)} MiB`);
      assert.equal((await peer.bye()).code, 0);
    }),
);

const nothing = async () => undefined;

/** Counts, and fails nothing. What depends on time is left out: who waits for a lock, how much room is left. */
const COUNTED: Fault = {
  at: Infinity,
  code: 'none',
  forever: false,
  only: ['open', 'write', 'read', 'entryOf', 'entryAt', 'kindOf', 'list', 'makeFolder', 'rename', 'link', 'remove'],
};

async function openArchiveOn(disk: Disk, root: string): Promise<ArchiveStore> {
  const floors = { freeBytes: 0, freeInodes: 0 };
  const store = new FilesStore(disk, { root, requireMount: false, floors, locking: LINGERING });
  await store.create(newArchive(), impatient);
  return store.open(LAPTOP, impatient);
}

test('of 200 sessions each chunk is found without looking at each session', async (t) => {
  // Its locks and its durability are not what is measured, and would be most of the test.
  const quick = { ...systemDisk, lock: async () => true, syncEach: nothing, syncFileSystem: nothing };
  const { disk, log } = faultyDisk(quick, COUNTED);
  const archive = await openArchiveOn(disk, scratchFor(t));
  const SESSIONS = 200;
  for (let session = 1; session <= SESSIONS; session++) {
    const steps = [0, 1, 2, 3, 4].map((range) => ({ chunk: range * 1024 + (session % 1024), data: String(session) }));
    await commitSession(archive, { base: session === 1 ? null : session - 1, session, size: 5000, steps });
  }
  const before = log.count;
  for (let chunk = 0; chunk < 5000; chunk += 5) {
    const place = chunk % 1024;
    const expected = place >= 1 && place <= SESSIONS ? String(place) : undefined;
    assert.equal(await stored(archive, SESSIONS, chunk), expected);
  }
  assert.equal([...archive.heads(VOLUME, [])].length, SESSIONS);
  assert.equal([...archive.volumes()][0]?.sessions.length, SESSIONS);
  const operations = log.count - before;
  console.log(`200 sessions: ${operations} operations for 1000 chunks, the heads and the list`);
  assert.ok(operations < 20_000, `${operations} operations`);

  // A run over all of a large volume looks only at the ranges that are there.
  const wide = log.count;
  await commitSession(archive, {
    base: SESSIONS,
    session: SESSIONS + 1,
    size: 2 ** 26,
    steps: [{ zeros: 0, count: 2 ** 26 }],
  });
  const looked = log.count - wide;
  console.log(`a run of 4 TiB over 200 sessions: ${looked} operations`);
  assert.ok(looked < 20_000, `${looked} operations`);
  assert.equal(await stored(archive, SESSIONS + 1, 7), '');
  assert.equal([...archive.volumes()][0]?.sessions.at(-1)?.files, 5 * SESSIONS);
  await archive.close();
});

test('a chunk costs two operations on the disk, however many there are: 3000', async (t) => {
  const quick = { ...systemDisk, lock: async () => true, syncEach: nothing, syncFileSystem: nothing };
  const { disk, log } = faultyDisk(quick, COUNTED);
  const archive = await openArchiveOn(disk, scratchFor(t));
  const operationsFor = async (session: number, count: number): Promise<number> => {
    const before = log.count;
    const steps = Array.from({ length: count }, (_, chunk) => ({ chunk, data: `${session} ${chunk}` }));
    await commitSession(archive, { base: session === 1 ? null : session - 1, session, size: 3000, steps });
    return log.count - before;
  };
  const [few, many] = [await operationsFor(1, 1000), await operationsFor(2, 3000)];
  const each = (many - few) / 2000;
  console.log(`${each.toFixed(2)} operations for each chunk more`);
  // It is created and written, then closed (which is not counted); a range costs a few more.
  assert.ok(each < 2.5, `${each.toFixed(2)} operations`);
  await archive.close();
});

const NODE_20 = ['/usr/bin/node', '/usr/local/bin/node', process.env.NODE20 ?? ''].find(
  (path) => path !== '' && String(spawnSync(path, ['--version']).stdout).startsWith('v20.'),
);

test('the bundle runs on Node 20', { skip: noBundle || (NODE_20 === undefined ? 'machine: no Node 20' : false) }, () =>
  withReceivers(async ({ root, start }) => {
    const node = NODE_20!;
    const peer = start({ program: BUNDLE, node });
    await peer.greet();
    await peer.done(CREATE);
    await peer.done(OPEN);
    await sendFirst(peer);
    await peer.done({ t: 'resolve', volume: VOLUME, pairing: pairingId(1), resume: true });
    const { items } = await peer.done({
      t: 'get-chunks',
      volume: VOLUME,
      session: sessionName(1),
      addresses: [0, CHUNK, RANGE],
    });
    assert.equal(items.length, 3);
    assert.deepEqual(await peer.bye(), { code: 0, signal: null, stderr: '' });
    for (const command of ['list', 'check']) {
      const { status, stdout } = spawnSync(node, [BUNDLE, command, '--root', root, '--json'], { encoding: 'utf8' });
      assert.equal(status, 0);
      assert.ok(JSON.parse(stdout));
    }
  }),
);
