/** Each step on its own, where nothing goes wrong, or one thing does. The crash test has the rest. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { beginSend, type SendRequest, type SendStart } from '../../../dom0-agent/capture/begin-send.ts';
import { checkpointed, mayResume, resumption } from '../../../dom0-agent/capture/resumption.ts';
import {
  committed,
  discarded,
  mistrusted,
  settled,
  unchanged,
  unfinished,
} from '../../../dom0-agent/capture/conclude.ts';
import { forget, renamed } from '../../../dom0-agent/capture/forget-volume.ts';
import { monitor } from '../../../dom0-agent/capture/monitor-volumes.ts';
import { removeStale } from '../../../dom0-agent/capture/remove-stale.ts';
import { release } from '../../../dom0-agent/capture/release-snapshots.ts';
import type { ArchiveId, PairingId } from '../../../shared/archive/names.ts';
import { BLOCK } from './model/content.ts';
import { newId, type ModelReceiver } from './model/receiver.ts';
import { VOLUMES, TwoArchives } from './model/two-archives.ts';

const [WORK, VAULT] = VOLUMES as [string, string];
const DAY = 24 * 60 * 60 * 1000;
const NEVER = () => Promise.resolve(false);
const CHUNK = 64 * 1024;

function request(receiver: ModelReceiver, volume = WORK): SendRequest {
  return {
    volume,
    archive: receiver.archive,
    chunkSize: receiver.chunkSize,
    pairing: newId() as PairingId,
    base: receiver.base(volume),
    volumeId: receiver.idOf(volume),
    name: volume,
    session: receiver.nextSession(volume),
    sequence: 1,
  };
}

function begun(start: SendStart | undefined) {
  assert.equal(start?.kind, 'begun');
  return start;
}

/** A world of two volumes of 20 chunks with nothing in them, and its first archive. */
function calm(seed = 1) {
  const world = new TwoArchives(seed);
  for (const volume of VOLUMES) world.source.volumes.set(volume, { size: 20 * CHUNK, blocks: [] });
  const [receiver] = world.receivers;
  assert.ok(receiver !== undefined);
  const { capture } = world.agent;
  const send = async (): Promise<void> => {
    assert.equal(await world.take({ kind: 'send', archive: 0, ending: 'commit' }), 'done');
  };
  const write = (block: number, value = 7): Promise<unknown> =>
    world.take({ kind: 'write', volume: WORK, block, value });
  return { world, receiver, capture, send, write, source: world.source };
}

describe('monitor', () => {
  it('makes no snapshot of a volume that was never sent', async () => {
    const { capture, source } = calm();
    assert.deepEqual(
      await monitor(capture, VOLUMES),
      VOLUMES.map((volume) => ({ kind: 'unpaired', volume })),
    );
    assert.equal(source.snapshots.size, 0);
  });

  it('counts what changed since the last look and since the session, and keeps one snapshot a volume', async () => {
    const { capture, source, send, write } = calm();
    await send();
    for (const [block, bytes, chunks] of [
      [0, BLOCK, 1],
      [1, BLOCK, 1],
      [9, BLOCK, 2],
    ] as const) {
      await write(block);
      const [work, vault] = await monitor(capture, VOLUMES);
      assert.equal(work?.kind, 'monitored');
      assert.equal(work.changedBytes, bytes);
      assert.deepEqual(
        work.maps.map((map) => map.changedChunks),
        [chunks],
      );
      assert.equal(vault?.kind === 'monitored' && vault.changedBytes, 0);
      assert.equal(source.snapshots.size, 2);
    }
  });

  it('says which volume is missing or has lost its tick, and goes on with the others', async () => {
    const { capture, source, send, world } = calm();
    await send();
    source.volumes.delete(VAULT);
    await world.take({ kind: 'impostor', volume: WORK });
    const [work, vault] = await monitor(capture, VOLUMES);
    assert.equal(work?.kind === 'reset' && work.reason, 'the older snapshot is gone or was replaced');
    assert.equal(vault?.kind, 'missing');
    assert.equal((await monitor(capture, [WORK]))[0]?.kind, 'unpaired');
  });

  it('fails for one volume, and keeps its maps, where a delta throws', async () => {
    const { capture, source, send } = calm();
    await send();
    const original = source.delta.bind(source);
    source.delta = () => Promise.reject(new Error('killed'));
    assert.equal((await monitor(capture, [WORK]))[0]?.kind, 'failed');
    assert.equal(source.snapshots.size, 2, 'the new snapshot is gone again');
    source.delta = original;
    assert.equal((await monitor(capture, [WORK]))[0]?.kind, 'monitored');
  });
});

describe('a send', () => {
  it('begins in full, and over its base by a map from then on', async () => {
    const { capture, receiver, send, write } = calm();
    const first = begun((await beginSend(capture, [request(receiver)]))[0]);
    assert.deepEqual([first.map, first.reason], [null, 'the volume is new in this archive']);
    await discarded(capture, { volume: WORK, archive: receiver.archive, pairing: unfinishedOf(0).pairing });
    await send();
    await write(4);
    const second = begun((await beginSend(capture, [request(receiver)]))[0]);
    assert.deepEqual([...(second.map?.chunks(second.tock.size) ?? [])], [2]);
    assert.equal(second.reason, null);

    function unfinishedOf(index: number) {
      const entry = unfinished(capture, receiver.archive)[index];
      assert.ok(entry !== undefined);
      return entry.pending;
    }
  });

  it('uses no map over another head than its own', async () => {
    const { capture, receiver, send } = calm();
    await send();
    const base = { ...receiver.base(WORK)!, pairing: newId() as PairingId };
    const start = begun((await beginSend(capture, [{ ...request(receiver), base }]))[0]);
    assert.equal(start.map, null);
    assert.match(start.reason ?? '', /not recorded/);
  });

  it('uses no map of another chunk size', async () => {
    const { capture, receiver, send } = calm();
    await send();
    const start = begun((await beginSend(capture, [{ ...request(receiver), chunkSize: 4 * CHUNK }]))[0]);
    assert.match(start.reason ?? '', /chunk size/);
  });

  it('compares in full where the delta throws', async () => {
    const { capture, receiver, send, source } = calm();
    await send();
    source.delta = () => Promise.reject(new Error('killed'));
    const start = begun((await beginSend(capture, [request(receiver)]))[0]);
    assert.deepEqual([start.map, start.reason], [null, 'killed']);
  });

  it('does not begin while an earlier one to the same archive is unresolved, but does to another', async () => {
    const { capture, receiver, world, source } = calm();
    begun((await beginSend(capture, [request(receiver)]))[0]);
    assert.equal((await beginSend(capture, [request(receiver)]))[0]?.kind, 'failed');
    begun((await beginSend(capture, [request(world.receivers[1]!)]))[0]);
    assert.equal(source.snapshots.size, 2, 'the tocks of both');
  });

  it('that found nothing different leaves the base its map, which starts anew', async () => {
    const { capture, receiver, send, world } = calm();
    await send();
    const base = receiver.base(WORK);
    const first = request(receiver);
    begun((await beginSend(capture, [first]))[0]);
    await unchanged(capture, first, { cursor: 3, day: 1, bytes: 9 });
    const state = world.store.stateOf('main', WORK);
    assert.deepEqual(
      state.maps.map((map) => map.pairing),
      [base?.pairing],
    );
    assert.deepEqual(state.rolling, { [receiver.archive]: { cursor: 3, day: 1, bytes: 9 } });
    assert.deepEqual(state.pending, []);
    assert.ok(begun((await beginSend(capture, [request(receiver)]))[0]).map !== null);
  });

  it('is remembered as committed until it is settled', async () => {
    const { capture, receiver, world } = calm();
    const send = request(receiver);
    begun((await beginSend(capture, [send]))[0]);
    await assert.rejects(settled(capture, [send]), { code: 'failed' });
    await committed(capture, send);
    await committed(capture, send);
    assert.equal(unfinished(capture, receiver.archive)[0]?.pending.outcome, 'committed');
    await assert.rejects(unchanged(capture, send), { code: 'failed' });
    await settled(capture, [send]);
    assert.deepEqual(unfinished(capture, receiver.archive), []);
    assert.equal(world.store.stateOf('main', WORK).maps.length, 1);
    await assert.rejects(committed(capture, send), { code: 'failed' });
  });

  it('whose map left something out takes every older map with it, for good', async () => {
    const { capture, receiver, send, world, write } = calm();
    await send();
    await world.take({ kind: 'send', archive: 1, ending: 'commit' });
    await write(0);
    const first = request(receiver);
    assert.ok(begun((await beginSend(capture, [first]))[0]).map !== null);
    await mistrusted(capture, first);
    await discarded(capture, first);
    for (const each of world.receivers) assert.equal(begun((await beginSend(capture, [request(each)]))[0]).map, null);
  });

  it('of one missing volume does not stop the others', async () => {
    const { capture, receiver, source } = calm();
    source.volumes.delete(WORK);
    const starts = await beginSend(capture, [request(receiver, WORK), request(receiver, VAULT)]);
    assert.deepEqual(
      starts.map((start) => start.kind),
      ['missing', 'begun'],
    );
  });
});

describe('a cut-off send', () => {
  const hashes = Buffer.alloc(64, 1);
  const reached = { address: 64 * 2 ** 20, changedBytes: 5, compared: false };

  async function cutOff() {
    const all = calm();
    await all.send();
    await all.write(0);
    const send = request(all.receiver);
    begun((await beginSend(all.capture, [send]))[0]);
    await checkpointed(all.capture, send, reached, hashes.subarray(0, 32));
    const newest = all.receiver.newest(WORK)?.pairing ?? null;
    return { ...all, send, newest };
  }

  it('goes on from any checkpoint that was noted, with the hashes below it', async () => {
    const { capture, send, newest } = await cutOff();
    await checkpointed(capture, send, { ...reached, address: 2 * reached.address }, hashes);
    await monitor(capture, [WORK]);
    const found = await resumption(capture, send, { address: reached.address, newest });
    assert.equal(found.kind, 'resumable');
    assert.deepEqual(found.checkpoint, reached);
    assert.deepEqual(Buffer.from(found.pageHashes), hashes.subarray(0, 32));
    assert.deepEqual([...(found.map?.chunks(found.tock.size) ?? [])], [0]);
  });

  it('does not go on elsewhere, over another base, or with page hashes that changed', async () => {
    const { capture, send, newest, world } = await cutOff();
    const resume = (address: number, head: PairingId | null) => resumption(capture, send, { address, newest: head });
    assert.equal((await resume(3 * reached.address, newest)).kind, 'discard');
    assert.equal((await resume(reached.address, newId() as PairingId)).kind, 'discard');
    assert.equal((await resume(reached.address, null)).kind, 'discard');
    assert.equal((await resume(reached.address, newest)).kind, 'resumable');
    const file = world.files.paths().find((path) => path.endsWith('.pages'));
    assert.ok(file !== undefined);
    await world.files.write(file, 'x'.repeat(32));
    assert.equal((await resume(reached.address, newest)).kind, 'discard');
  });

  it('that compared in full goes on comparing in full', async () => {
    const { capture, send, newest } = await cutOff();
    const address = 2 * reached.address;
    await checkpointed(capture, send, { address, changedBytes: 5, compared: true }, hashes);
    const found = await resumption(capture, send, { address, newest });
    assert.equal(found.kind === 'resumable' && found.map, null);
  });

  it('does not go on from a snapshot that only bears the name', async () => {
    const { capture, send, newest, source, receiver } = await cutOff();
    const pending = unfinished(capture, receiver.archive)[0]!.pending;
    assert.equal(await mayResume(capture, pending), true);
    source.replaceSnapshot(pending.tock!.id, { size: 20 * CHUNK, blocks: [1, 2] });
    assert.equal(await mayResume(capture, pending), false);
    assert.equal((await resumption(capture, send, { address: reached.address, newest })).kind, 'discard');
  });

  it('gives its snapshot up before a tick, and not while it is being sent', async () => {
    const { capture, receiver, source, world, write } = await cutOff();
    await write(3);
    await monitor(capture, [WORK]);
    const busy = (archive: ArchiveId) => Promise.resolve(archive === receiver.archive);
    const enough = (count: number) => () => Promise.resolve(source.snapshots.size <= count);
    assert.equal(source.snapshots.size, 3);
    assert.deepEqual(await release(capture, { isEnough: enough(2), isSending: NEVER }), [WORK]);
    const state = world.store.stateOf('main', WORK);
    assert.ok(state.tick !== null);
    assert.equal(state.pending[0]?.tock, null);
    assert.equal((await release(capture, { isEnough: enough(0), isSending: busy })).length, 2);
    assert.equal(source.snapshots.size, 0);
    assert.equal(unfinished(capture, receiver.archive).length, 1, 'its end still has to be asked for');
  });
});

describe('the reaper', () => {
  it('leaves a missing volume its tick for seven days, and longer if it came back', async () => {
    const { capture, source, send } = calm();
    await send();
    const content = source.volumes.get(WORK)!;
    const at = (days: number) => removeStale(capture, { now: days * DAY, isSending: NEVER });
    source.volumes.delete(WORK);
    assert.deepEqual((await at(1)).missing, [{ volume: WORK, since: DAY }]);
    assert.deepEqual((await at(7.9)).longMissing, []);
    source.volumes.set(WORK, content);
    assert.deepEqual((await at(8.5)).missing, []);
    source.volumes.delete(WORK);
    await at(9);
    assert.deepEqual((await at(15.9)).longMissing, []);
    assert.equal(source.snapshots.size, 2);
    assert.deepEqual((await at(16)).longMissing, [WORK]);
    assert.equal(source.snapshots.size, 1);
  });

  it('takes the user at his word, and a clock that went back for what it is', async () => {
    const { capture, source, send } = calm();
    await send();
    source.volumes.delete(WORK);
    await removeStale(capture, { now: 100 * DAY, isSending: NEVER });
    assert.deepEqual((await removeStale(capture, { now: DAY, isSending: NEVER })).missing, [
      { volume: WORK, since: DAY },
    ]);
    assert.deepEqual(
      (await removeStale(capture, { now: DAY, isGone: (volume) => volume === WORK, isSending: NEVER })).longMissing,
      [WORK],
    );
  });

  it('removes snapshots that no state names', async () => {
    const { capture, source, send } = calm();
    await send();
    await source.snapshot(VOLUMES);
    const { leftovers } = await removeStale(capture, { now: 0, isSending: NEVER });
    assert.equal(leftovers.length, 2);
    assert.equal(source.snapshots.size, 2);
    assert.equal((await monitor(capture, [WORK]))[0]?.kind, 'monitored');
  });
});

describe('a volume', () => {
  it('that was deleted from an archive leaves the other archives theirs', async () => {
    const { capture, receiver, send, world, source } = calm();
    await send();
    await world.take({ kind: 'send', archive: 1, ending: 'commit' });
    await forget(capture, WORK, receiver.archive);
    assert.deepEqual(
      world.store.stateOf('main', WORK).maps.map((map) => map.archive),
      [world.receivers[1]?.archive],
    );
    await forget(capture, WORK, world.receivers[1]!.archive);
    assert.deepEqual(world.store.load('main', WORK), { kind: 'none' });
    assert.equal(source.snapshots.size, 1);
    await forget(capture, WORK, receiver.archive);
  });

  it('that was renamed takes its state along, again after a rename that was cut off', async () => {
    const { capture, receiver, send, source, world, write } = calm();
    await send();
    await write(6);
    await assert.rejects(renamed(capture, WORK, 'vm-new-private'), { code: 'failed' });
    source.volumes.set('vm-new-private', source.volumes.get(WORK)!);
    source.volumes.delete(WORK);
    const state = world.store.stateOf('main', WORK);
    world.machine.plan({ kind: 'crash', at: world.machine.operations + 5 });
    await assert.rejects(renamed(capture, WORK, 'vm-new-private'));
    world.restart();
    assert.deepEqual(world.store.stateOf('main', WORK).tick, state.tick);
    assert.equal(await renamed(capture, WORK, 'vm-new-private'), 'moved');
    assert.equal(await renamed(capture, WORK, 'vm-new-private'), 'nothing to move');
    const base = receiver.base(WORK);
    const start = begun((await beginSend(capture, [{ ...request(receiver, 'vm-new-private'), base }]))[0]);
    assert.deepEqual([...(start.map?.chunks(start.tock.size) ?? [])], [3]);
    await assert.rejects(
      async () => {
        source.volumes.delete(VAULT);
        await renamed(capture, VAULT, 'vm-new-private');
      },
      { code: 'failed' },
    );
  });
});
