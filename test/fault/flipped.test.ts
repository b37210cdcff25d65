// Every kind of object with bytes changed, cut off or added, read through the agent with a real receiver in between.
// What content/ does with such bytes is tested there; here it is that each of its checks is reached on the way of a
// restore.

import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSlot } from '../../dom0-agent/content/slot.ts';
import { parseRecoveryKey } from '../../dom0-agent/content/recovery-key.ts';
import type { OpenArchive } from '../../dom0-agent/proven-archive/open-archive.ts';
import { Pin } from '../../dom0-agent/proven-archive/pin.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import { TamperedArchive, MODES, type Place } from './tampered-archive.ts';

/** Places in a file: all of a short one, else its ends and some in between. */
function offsets({ random }: TamperedArchive, length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, at) => at);
  const ends = Math.floor(most / 4);
  const middle = Array.from({ length: most - 2 * ends }, () => random.between(ends, length - ends - 1));
  return [
    ...Array.from({ length: ends }, (_, at) => at),
    ...middle,
    ...Array.from({ length: ends }, (_, at) => length - 1 - at),
  ];
}

/** Writes the file for one reading and puts it back. */
async function changed<T>(path: string, bytes: Uint8Array, read: () => Promise<T>): Promise<T> {
  const whole = readFileSync(path);
  writeFileSync(path, bytes);
  try {
    return await read();
  } finally {
    writeFileSync(path, whole);
  }
}

/** An index is made again from the pages; without anything else there is no restore. */
async function isCaught(ground: TamperedArchive, archive: OpenArchive, place: Place, what: string): Promise<void> {
  const { status, message } = await ground.restoreOne(archive, place.volume, place.session);
  assert.equal(status, place.kind === 'index' ? 0 : 4, `${what}: ${message}`);
  assert.equal(archive.client.failure, undefined, `${what}: damage is no reason to break the connection`);
}

for (const mode of MODES) {
  test(`a tampered archive (${mode.name})`, async (t) => {
    const ground = await TamperedArchive.make(t, mode);
    const { random } = ground;
    const archive = await ground.open();
    t.after(() => archive.client.close());
    // One of each kind, in the newest session of a volume, so that it is sure to be read.
    const places = [
      ...ground
        .places('head', 'index', 'page')
        .filter(({ volume, session }) => volume === 'a.img' && session === ground.sessions[2]),
      ...ground.places('chunk').filter(({ volume, session }) => volume === 'b.img' && session === ground.sessions[1]),
      ...ground
        .places('chunk')
        .filter(({ volume, session }) => volume === 'a.img' && session === ground.sessions[0])
        .slice(0, 1),
    ];
    assert.deepEqual([...new Set(places.map(({ kind }) => kind))].sort(), ['chunk', 'head', 'index', 'page']);

    await t.test('I1 is restored exactly before it is touched', async () => {
      for (const { status } of await ground.restoreAll()) assert.equal(status, 0);
    });

    await t.test('A1 each byte of each kind flipped', async () => {
      let flips = 0;
      for (const place of places) {
        const whole = readFileSync(place.path);
        for (const at of offsets(ground, whole.length, place.kind === 'chunk' ? 24 : 100)) {
          const flipped = Buffer.from(whole);
          flipped[at] = whole[at]! ^ (1 << random.int(8));
          await changed(place.path, flipped, () => isCaught(ground, archive, place, `${place.kind}, byte ${at}`));
          flips++;
        }
      }
      t.diagnostic(`${flips} flips`);
      assert.ok(flips > 200);
    });

    await t.test('A2 each kind cut short or made longer', async () => {
      let cuts = 0;
      for (const place of places) {
        const whole = readFileSync(place.path);
        const lengths = new Set([0, 1, 2, 26, 27, 31, 42, 43, whole.length >> 1, whole.length - 16, whole.length - 1]);
        for (const length of lengths) {
          if (length < 0 || length >= whole.length) continue;
          // Of the head, without a byte the receiver itself speaks up: it may not be put on the wire.
          if (place.kind === 'head' && length === 0) continue;
          const cut = whole.subarray(0, length);
          await changed(place.path, cut, () => isCaught(ground, archive, place, `${place.kind}, ${length} bytes`));
          cuts++;
        }
        for (const more of [1, 32, 5000]) {
          const long = Buffer.concat([whole, random.bytes(more)]);
          await changed(place.path, long, () => isCaught(ground, archive, place, `${place.kind} and ${more} bytes`));
          cuts++;
        }
      }
      t.diagnostic(`${cuts} lengths`);
      assert.ok(cuts > 50);
    });

    await t.test('A1 A2 each byte of the catalogue flipped, each length', async () => {
      const path = join(ground.archive, 'catalogue');
      const whole = readFileSync(path);
      const reading = { settles: false, acceptRollback: false, acceptFork: false } as const;
      const sound = await new Pin(archive.state).check(archive.client, reading);
      assert.equal(sound.damaged, undefined);
      // It is said, and dom0 goes by the one that it knows.
      const check = async () => {
        const { pinned, damaged } = await new Pin(archive.state).check(archive.client, reading);
        assert.equal(damaged?.fault.exitStatus, 4);
        assert.deepEqual(pinned, sound.pinned);
      };
      for (const at of offsets(ground, whole.length, 100)) {
        const flipped = Buffer.from(whole);
        flipped[at] = whole[at]! ^ (1 << random.int(8));
        await changed(path, flipped, check);
      }
      for (const length of [0, 1, 2, 43, whole.length - 1]) await changed(path, whole.subarray(0, length), check);
      assert.equal((await new Pin(archive.state).check(archive.client, reading)).damaged, undefined);
      assert.equal(archive.client.failure, undefined);
    });

    await t.test('A1 what is only the receiver’s own never changes what is restored', async () => {
      let read = 0;
      for (const name of ['size', 'sha256', 'stats', '0000000000/sha256']) {
        const path = join(ground.session('a.img', ground.sessions[2]!), name);
        const whole = readFileSync(path);
        for (const at of offsets(ground, whole.length, 8)) {
          const flipped = Buffer.from(whole);
          flipped[at] = whole[at]! ^ (1 << random.int(8));
          await changed(path, flipped, () => ground.restoreOne(archive, 'a.img', ground.sessions[2]!));
          read++;
        }
        truncateSync(path, 0);
        await ground.restoreOne(archive, 'a.img', ground.sessions[2]!);
        writeFileSync(path, whole);
      }
      assert.ok(read > 20);
    });

    await t.test('A1 A2 a key slot', async () => {
      const path = join(ground.archive, 'keys/recovery');
      const whole = readFileSync(path);
      const key = parseRecoveryKey(ground.recoveryKey);
      const record = await openSlot(whole, { kind: 'recovery', key });
      assert.equal(record.archive, archive.state.record.archive);
      for (let at = 0; at < whole.length; at++) {
        const flipped = Buffer.from(whole);
        flipped[at] = whole[at]! ^ (1 << random.int(8));
        await assert.rejects(
          openSlot(flipped, { kind: 'recovery', key }),
          (error) => ['integrity', 'wrong-passphrase'].includes(asSparsebakError(error).code),
          `byte ${at}`,
        );
        await assert.rejects(openSlot(whole.subarray(0, at), { kind: 'recovery', key }), { code: 'integrity' });
      }
    });

    t.diagnostic(`${ground.counts.exact} exact restores, ${ground.counts.refused} refused`);
  });
}
