import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';
import { chooseReadBack } from '../../../dom0-agent/send/read-back.ts';
import { CHUNKS_PER_RANGE, Geometry } from '../../../shared/archive/address.ts';

const CHUNK = 64 * 1024;

it('reads back what is new wherever it lies, and of the rest little, in few ranges', () => {
  const geometry = new Geometry(CHUNK, 5000 * CHUNKS_PER_RANGE * CHUNK + 1);
  const map = DeltaMap.empty(CHUNK, geometry.size);
  const marked = Array.from({ length: 20 }, (_, at) => at * 217 * CHUNKS_PER_RANGE + 5);
  for (const chunk of marked) map.mark({ offset: chunk * CHUNK, length: 1 });
  for (let round = 0; round < 50; round++) {
    const chosen = chooseReadBack(geometry, map);
    for (const chunk of marked) assert.ok(chosen.has(chunk));
    const rest = [...chosen].filter((chunk) => !marked.includes(chunk));
    assert.ok(rest.length > 0 && rest.length <= 33, String(rest.length));
    assert.ok(new Set(rest.map((chunk) => geometry.rangeOf(chunk))).size <= 5);
    assert.ok(Math.max(...chosen) < geometry.chunkCount);
  }
  assert.deepEqual(chooseReadBack(new Geometry(CHUNK, 0), undefined), new Set());
});
