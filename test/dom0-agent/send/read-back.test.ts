import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';
import { chooseSent } from '../../../dom0-agent/send/read-back.ts';
import { READ_BACK_BUDGET, ReadBackTurns } from '../../../dom0-agent/send/read-back-turns.ts';
import { CHUNKS_PER_RANGE, Geometry } from '../../../shared/archive/address.ts';
import type { VolumeId } from '../../../shared/archive/names.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

const CHUNK = 64 * 1024;

it('reads back what is new wherever it lies, and of a whole volume few ranges', () => {
  const geometry = new Geometry(CHUNK, 5000 * CHUNKS_PER_RANGE * CHUNK + 1);
  const map = DeltaMap.empty(CHUNK, geometry.size);
  const marked = Array.from({ length: 20 }, (_, at) => at * 217 * CHUNKS_PER_RANGE + 5);
  for (const chunk of marked) map.mark({ offset: chunk * CHUNK, length: 1 });
  for (let round = 0; round < 50; round++) {
    assert.deepEqual([...chooseSent(geometry, map)].sort(), [...marked].sort());
    const all = chooseSent(geometry, 'all');
    assert.ok(all.size > 0 && all.size <= 32, String(all.size));
    assert.ok(new Set([...all].map((chunk) => geometry.rangeOf(chunk))).size <= 4);
    assert.ok(Math.max(...all) < geometry.chunkCount);
  }
  assert.deepEqual(chooseSent(new Geometry(CHUNK, 0), 'all'), new Set());
});

function volumes(count: number): { readonly volume: VolumeId }[] {
  return Array.from({ length: count }, (_, at) => ({ volume: at.toString(16).padStart(32, '0') as VolumeId }));
}

it('keeps to its budget however many volumes there are, and lets each have its turn', (t) => {
  const chunkSize = 256 * 1024;
  for (const count of [1, 2, 100, 400, 4000]) {
    const folder = scratchFor(t);
    const waiting = new Set(volumes(count).map(({ volume }) => volume));
    let sends = 0;
    for (; waiting.size > 0; sends++) {
      const turns = new ReadBackTurns(folder, chunkSize);
      const given = turns.inOrder(volumes(count)).filter(({ turn }) => turn.chunks > 0);
      const chunks = given.reduce((sum, { turn }) => sum + turn.chunks, 0);
      assert.ok(chunks * chunkSize <= READ_BACK_BUDGET, `${chunks} chunks for ${count} volumes`);
      assert.ok(given.every(({ turn }) => turn.chunks <= 16));
      for (const { volume } of given) waiting.delete(volume.volume);
      turns.save();
      assert.ok(sends < 40, `${count} volumes: ${waiting.size} never had a turn`);
    }
    assert.equal(sends, Math.ceil(count / 128), `${count} volumes`);
  }
  // A chunk larger than the budget would be none at all.
  assert.equal(
    new ReadBackTurns(scratchFor(t), 2 ** 30).inOrder(volumes(3)).filter(({ turn }) => turn.chunks > 0).length,
    1,
  );
});

it('goes on where the last send stopped, and begins anew where that is damaged', (t) => {
  const folder = scratchFor(t);
  const [volume] = volumes(1);
  const turns = new ReadBackTurns(folder, CHUNK);
  turns.inOrder([volume!])[0]!.turn.from = 77;
  turns.save();
  const next = () => new ReadBackTurns(folder, CHUNK).inOrder([volume!])[0]!.turn.from;
  assert.equal(next(), 77);
  const file = join(folder, 'read-back.json');
  writeFileSync(file, readFileSync(file, 'utf8').slice(1));
  assert.equal(next(), 0);
});
