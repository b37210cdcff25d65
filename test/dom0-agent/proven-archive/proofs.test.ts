import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  asProofs,
  describeProofs,
  noteProof,
  noteProofs,
  readProofs,
  type Proof,
} from '../../../dom0-agent/proven-archive/proofs.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { OTHER_SESSION, OTHER_VOLUME, SESSION, VOLUME } from '../content/objects.ts';

const proof = (session = SESSION, chunks = 48): Proof => ({ session, time: Date.UTC(2026, 10, 24), chunks });

test('a sample does not replace the proof of a whole session, nor one volume’s another’s', (t) => {
  const folder = scratchFor(t);
  noteProof(folder, VOLUME, 'whole', proof());
  noteProof(folder, VOLUME, 'sample', proof(OTHER_SESSION, 9));
  noteProofs(folder, 'sample', new Map([[OTHER_VOLUME, proof()]]));
  noteProofs(folder, 'whole', new Map());
  assert.deepEqual(readProofs(folder), {
    [VOLUME]: { whole: proof(), sample: proof(OTHER_SESSION, 9) },
    [OTHER_VOLUME]: { sample: proof() },
  });
});

test('of a volume’s newest session the strongest proof is told, and none of another session’s', () => {
  const shown = asProofs({ whole: proof(), sample: proof(OTHER_SESSION, 9) });
  assert.equal(describeProofs(shown, SESSION), 'all, 2026-11-24');
  assert.equal(describeProofs(shown, OTHER_SESSION), '9 chunks, 2026-11-24');
  assert.equal(describeProofs(asProofs({ whole: proof(), sample: proof() }), SESSION), 'all, 2026-11-24');
  assert.equal(describeProofs(shown, 'S_20261201-020000'), '', 'the older ones say nothing of it');
  assert.equal(describeProofs(shown, null), '');
  assert.deepEqual(asProofs(), { whole: null, sample: null });
  assert.equal(asProofs({ whole: proof() }).whole?.time, '2026-11-24T00:00:00.000Z');
});

test('G3 a note that is damaged proves nothing, and takes new proofs', (t) => {
  const folder = scratchFor(t);
  const file = join(folder, 'proofs.json');
  noteProof(folder, VOLUME, 'whole', proof());
  const whole = readFileSync(file, 'utf8');
  for (const text of ['', whole.slice(0, -9), whole.replace('S_2026', 'S_20x6'), whole.replace('48', '-1')]) {
    writeFileSync(file, text);
    assert.deepEqual(readProofs(folder), {}, text);
  }
  noteProof(folder, VOLUME, 'sample', proof());
  assert.deepEqual(readProofs(folder), { [VOLUME]: { sample: proof() } });
});

test('G2 where the state cannot be written, the verify that proved it does not fail', (t) => {
  const folder = join(scratchFor(t), 'not-there');
  noteProof(folder, VOLUME, 'whole', proof());
  assert.deepEqual(readProofs(folder), {});
});
