// A long send is killed behind a checkpoint: the next one goes on from there, or starts over where it cannot (I2, I9,
// L11).

import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { DeltaMap } from '../../dom0-agent/capture/delta-map.ts';
import { PairingStore } from '../../dom0-agent/capture/pairing-store.ts';
import { Random } from '../fixtures/random.ts';
import { sendDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { limit } from '../fixtures/limits.ts';

const xfs = ground('xfs', 4 * 2 ** 30);
const { skip } = xfs;
const MIB = 2 ** 20;
const CHUNK = 256 * 1024;
/** More than one checkpoint's worth, and an end of odd size. */
const SIZE = 400 * MIB + 4097;

/** Nothing compresses it, and no two chunks are the same in their first bytes. */
function fill(path: string, random: Random): void {
  const block = random.bytes(8 * MIB);
  const fd = openSync(path, 'r+');
  for (let at = 0; at < SIZE; at += block.length) {
    for (let chunk = 0; chunk < block.length; chunk += CHUNK)
      block.writeDoubleBE(at + chunk + random.int(1000) / 1000, chunk);
    writeSync(fd, block, 0, Math.min(block.length, SIZE - at), at);
  }
  closeSync(fd);
}

function chunksIn(trace: string): number {
  const lines = existsSync(trace) ? readFileSync(trace, 'utf8').split('\n') : [];
  rmSync(trace, { force: true });
  return lines.filter((line) => line === 'agent chunk').length;
}

function sameFiles(a: string, b: string): boolean {
  if (statSync(a).size !== statSync(b).size) return false;
  const fds = [openSync(a, 'r'), openSync(b, 'r')] as const;
  const pieces = [Buffer.alloc(8 * MIB), Buffer.alloc(8 * MIB)] as const;
  try {
    for (let at = 0; at < SIZE; at += 8 * MIB) {
      const lengths = fds.map((fd, index) => readInto(fd, pieces[index]!, at));
      if (lengths[0] !== lengths[1] || !pieces[0].equals(pieces[1])) return false;
    }
    return true;
  } finally {
    fds.forEach(closeSync);
  }
}

function readInto(fd: number, piece: Buffer, at: number): number {
  piece.fill(0);
  return readSync(fd, piece, 0, piece.length, at);
}

async function restored(lab: BackupSystem, session: string | undefined): Promise<string> {
  const to = join(lab.folder, 'restored.img');
  rmSync(to, { force: true });
  const which = session === undefined ? [] : ['--session', session];
  (await lab.run(['restore', 'big.img', '--to', to, ...which])).expect(0);
  return to;
}

test('I9 L11 a send that was killed behind a checkpoint', { skip, timeout: limit(400_000) }, async (t: TestContext) => {
  const random = new Random('resume');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
  lab.write('big.img', Buffer.alloc(0));
  const path = lab.path('big.img');
  truncateSync(path, SIZE);
  fill(path, random);
  await lab.init();
  const trace = join(lab.folder, 'trace');
  const total = Math.ceil(SIZE / CHUNK);
  const kill = (what: string) => ({ from: 'receiver', what, action: 'kill-agent' }) as const;

  await t.test('goes on in a first full, without a flag, also when its commit is what was cut off', async () => {
    const killed = await lab.run(['send', '--full'], lab.interposed(kill('done to checkpoint'), trace));
    killed.expectKilled();
    const before = chunksIn(trace);
    assert.ok(before > total / 2, `${String(before)} chunks before the kill`);
    const sent = (await lab.run(['send', '--json'], lab.interposed(null, trace))).expect(0).json(sendDocument);
    const volume = only(sent.volumes, 'big.img');
    const rest = chunksIn(trace);
    assert.equal(volume.kind, 'full');
    assert.equal(volume.compared, false);
    assert.notEqual(sent.session, null);
    assert.equal(volume.changedBytes, SIZE);
    assert.equal(volume.chunks, rest);
    assert.ok(rest > 0 && rest < total / 2 && volume.sentBytes < SIZE / 2, `${String(rest)} chunks in the second run`);
    assert.ok(sameFiles(await restored(lab, undefined), path));
    lab.assertNothingStray();
    t.diagnostic(`${total} chunks: ${before} sent before the kill, ${rest} after`);
  });

  await t.test('goes on in an incremental, then sends what changed meanwhile', async () => {
    fill(path, random);
    lab.keepOne('big.img', 'killed', path);
    const killed = await lab.run(['send'], lab.interposed(kill('done to checkpoint'), trace));
    killed.expectKilled();
    chunksIn(trace);
    writeAt(path, 5 * CHUNK, random.bytes(10));
    const sent = (await lab.run(['send', '--json'], lab.interposed(null, trace))).expect(0).json(sendDocument);
    const rest = chunksIn(trace);
    const volume = only(sent.volumes, 'big.img');
    assert.deepEqual([volume.kind, volume.compared, volume.chunks], ['incremental', false, rest]);
    assert.ok(rest < total / 2, `${String(rest)} chunks`);
    const sessions = (await lab.list()).volumes[0]!.sessions.map(({ session }) => session);
    assert.equal(sessions.length, 3);
    assert.equal(sessions.at(-1), sent.session);
    assert.ok(sameFiles(await restored(lab, sessions[1]), lab.kept.get('big.img')!.get('killed')!));
    assert.ok(sameFiles(await restored(lab, undefined), path));
  });

  await t.test('starts over when its snapshot is gone', async () => {
    fill(path, random);
    (await lab.run(['send'], lab.interposed(kill('done to checkpoint'), trace))).expectKilled();
    chunksIn(trace);
    for (const { pending } of lab.pairings()) {
      for (const { tock } of pending) rmSync(lab.snapshots().find((file) => file.includes(tock!.id))!);
    }
    const sent = (await lab.run(['send', '--json'], lab.interposed(null, trace))).expect(0).json(sendDocument);
    const volume = only(sent.volumes, 'big.img');
    assert.equal(volume.kind, 'incremental');
    assert.equal(volume.compared, true, 'its tick was that snapshot, so what changed is not known');
    assert.ok(chunksIn(trace) >= total - 1);
    assert.ok(sameFiles(await restored(lab, undefined), path));
    lab.assertNothingStray();
  });

  await t.test('L2 starts over when the delta that chose what was sent turns out wrong', async () => {
    fill(path, random);
    (await lab.run(['send'], lab.interposed(kill('done to checkpoint'), trace))).expectKilled();
    chunksIn(trace);
    const store = new PairingStore(lab.stateDir);
    const state = store.stateOf('main', 'big.img');
    const base = state.pending[0]!.base!.pairing;
    // A map that knows of no change but one.
    const lying = DeltaMap.empty(CHUNK, SIZE);
    lying.mark({ offset: 0, length: 1 });
    const believed = state.maps.find((ref) => ref.pairing === base)!;
    const planted = await store.writeMap(state, believed, lying);
    const maps = state.maps.map((ref) => (ref === believed ? planted : ref));
    await store.save({ ...state, maps });
    const ran = (await lab.run(['send', '--json'], lab.interposed(null, trace))).expect(0);
    const volume = only(ran.json(sendDocument).volumes, 'big.img');
    assert.equal(volume.compared, true);
    assert.match(ran.stderr, /content changed where the delta says it did not/);
    assert.ok(chunksIn(trace) >= total - 1);
    assert.ok(sameFiles(await restored(lab, undefined), path));
    assert.equal(readdirSync(join(lab.root, 'laptop', 'volumes')).length, 1);
    lab.assertNothingStray();
  });
});

test(
  'I9 A13 a base that is damaged while a send is cut off',
  { skip, timeout: limit(400_000) },
  async (t: TestContext) => {
    const random = new Random('resume-damaged');
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
    lab.write('big.img', Buffer.alloc(0));
    const path = lab.path('big.img');
    const range = 256 * MIB;
    truncateSync(path, 2 * range + MIB);
    writeAt(path, 5 * CHUNK, random.bytes(CHUNK));
    await lab.init();
    await lab.send('--full');
    /** The newest file of this name. */
    const stored = (name: string) => {
      const volumes = join(lab.root, 'laptop/volumes');
      const files = readdirSync(volumes, { recursive: true, encoding: 'utf8' });
      const found = files.filter((file) => file.includes('/S_') && file.endsWith(`/${name}`)).sort();
      return join(volumes, found.at(-1)!);
    };
    /** The first range stays, the others change, and the send is cut off behind them. */
    const cutOff = async () => {
      const block = random.bytes(8 * MIB);
      for (let at = range; at < 2 * range; at += block.length) writeAt(path, at, block);
      writeAt(path, 2 * range, random.bytes(100));
      const kill = { from: 'receiver', what: 'done to checkpoint', action: 'kill-agent' } as const;
      (await lab.run(['send'], lab.interposed(kill))).expectKilled();
    };
    const goneOn = async () => {
      const sent = (await lab.run(['send', '--json'])).expect(4).json(sendDocument);
      const volume = only(sent.volumes, 'big.img');
      assert.deepEqual([volume.kind, volume.error?.code], ['incremental', 'integrity']);
      (await lab.run(['verify', '--session', sent.session!])).expect(0);
      assert.equal(only((await lab.send()).volumes, 'big.img').kind, 'unchanged');
      return volume;
    };

    await t.test('in its index alone: the send goes on, and says so', async () => {
      await cutOff();
      rmSync(stored('index'));
      assert.ok((await goneOn()).sentBytes < range);
    });

    await t.test('in a page that the checkpoint leans on: the send begins anew', async () => {
      const before = (await lab.list()).volumes[0]!.sessions.length;
      await cutOff();
      rmSync(stored('index'));
      rmSync(stored('0000000000/page'));
      assert.ok((await goneOn()).sentBytes > range);
      assert.equal((await lab.list()).volumes[0]!.sessions.length, before + 1);
    });
  },
);
