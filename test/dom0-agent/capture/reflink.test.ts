/** The steps over a real pool and a real state folder: what monitor notes is what a send must read. */
import assert from 'node:assert/strict';
import { mkdirSync, openSync, closeSync, readdirSync, readFileSync, truncateSync, writeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { beginSend } from '../../../dom0-agent/capture/begin-send.ts';
import type { Capture } from '../../../dom0-agent/capture/capture.ts';
import { committed, settled } from '../../../dom0-agent/capture/conclude.ts';
import { stateLock } from '../../../dom0-agent/capture/state-lock.ts';
import { monitor } from '../../../dom0-agent/capture/monitor-volumes.ts';
import { PairingStore } from '../../../dom0-agent/capture/pairing-store.ts';
import type { Base } from '../../../dom0-agent/capture/pairing.ts';
import { removeStale } from '../../../dom0-agent/capture/remove-stale.ts';
import { openSource } from '../../../dom0-agent/source/open-source.ts';
import type { ArchiveId, PairingId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { loopFsSkip, withLoopFs, type LoopFsType } from '../../fixtures/loop-fs.ts';
import { Random } from '../../fixtures/random.ts';
import { makeScratch, removeScratch } from '../../fixtures/scratch.ts';
import { newId } from './model/receiver.ts';

const CHUNK = 64 * 1024;
const MIB = 2 ** 20;
const ROUNDS = 6;

function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

function chunksOf(bytes: Buffer): string[] {
  return Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, chunk) =>
    bytes.toString('latin1', chunk * CHUNK, (chunk + 1) * CHUNK),
  );
}

/** @param lockFolder outside of the file system: the lock is kept open for a moment after its last use */
async function backUp(fs: string, lockFolder: string, random: Random): Promise<void> {
  const pool = join(fs, 'pool');
  mkdirSync(pool);
  const source = openSource({ type: 'reflink', path: pool, state: 'stopped' });
  const stateDir = join(fs, 'state');
  const capture: Capture = {
    source,
    pool: 'main',
    store: new PairingStore(stateDir),
    lock: stateLock(lockFolder, { waitSeconds: 5 }),
    warn: (error) => assert.fail(error),
  };
  const live = join(pool, 'v');
  closeSync(openSync(live, 'w'));
  truncateSync(live, 8 * MIB);
  writeAt(live, MIB, random.bytes(2 * MIB));

  const archive = newId() as ArchiveId;
  let head: { readonly base: Base; readonly chunks: readonly string[] } | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const send = {
      ...{ volume: 'v', archive, chunkSize: CHUNK, pairing: newId() as PairingId, base: head?.base ?? null },
      ...{ volumeId: newId() as VolumeId, name: 'v', sequence: round },
      session: `S_20260101-00000${round}` as SessionName,
    };
    const [start] = await beginSend(capture, [send]);
    assert.equal(start?.kind, 'begun');
    assert.equal(start.map === null, round === 0, start.reason ?? '');
    const opened = await source.open(start.tock);
    const held = chunksOf(readFileSync(opened.path));
    await opened.close();
    const made = held.map((text, chunk) => (start.map?.has(chunk) === false ? head?.chunks[chunk] : text));
    assert.deepEqual(made, held);
    if (start.map !== null) {
      const marked = start.map.count(start.tock.size);
      assert.ok(marked > 0 && marked < held.length, `${marked} of ${held.length} chunks marked`);
    }
    head = { base: { pairing: send.pairing, session: send.session, head: '0'.repeat(64) }, chunks: held };
    await committed(capture, send);
    await settled(capture, [send]);
    for (let look = 0; look < 2; look++) {
      // The write comes last: cut off again, it would leave nothing that a listing of extents could tell.
      if (round === 2) truncateSync(live, look === 0 ? 6 * MIB + 123 : 7 * MIB);
      const size = readFileSync(live).length;
      writeAt(live, random.int(size), random.bytes(random.between(1, CHUNK)));
      const [seen] = await monitor(capture, ['v']);
      assert.equal(seen?.kind, 'monitored');
      assert.ok(seen.changedBytes > 0);
    }
  }

  rmSync(live);
  assert.equal((await monitor(capture, ['v']))[0]?.kind, 'missing');
  const { longMissing: reaped } = await removeStale(capture, {
    now: Date.now(),
    isGone: (volume) => volume === 'v',
    isSending: () => Promise.resolve(false),
  });
  assert.deepEqual(reaped, ['v']);
  assert.deepEqual(await source.leftovers(), []);
  assert.deepEqual(readdirSync(join(stateDir, 'volumes')), []);
}

for (const type of ['xfs', 'btrfs'] satisfies LoopFsType[]) {
  describe(`capture on ${type}`, { skip: loopFsSkip(type) }, () => {
    it('notes every change between sends', async () => {
      const lockFolder = makeScratch('state-lock');
      await withLoopFs({ type, size: 512 * MIB }, (dir) => backUp(dir, lockFolder, new Random(`capture on ${type}`)));
      removeScratch(lockFolder);
    });
  });
}
