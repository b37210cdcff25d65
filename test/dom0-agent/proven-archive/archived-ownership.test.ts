import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { archivedOwnership, noteOwnership } from '../../../dom0-agent/proven-archive/archived-ownership.ts';
import type { SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

const volume = 'a'.repeat(32) as VolumeId;
const other = 'b'.repeat(32) as VolumeId;
const session = (second: number): SessionName => `S_20261123-0000${String(second).padStart(2, '0')}` as SessionName;

describe('whom a volume belonged to when it was archived', () => {
  it('is the last note at or before a session, and not known before the first', (t) => {
    const folder = scratchFor(t);
    const at = (second: number): string | undefined => archivedOwnership(folder, volume, session(second));
    assert.equal(at(1), undefined);
    noteOwnership(
      folder,
      session(10),
      new Map([
        [volume, '0:0 600'],
        [other, '5:5 644'],
      ]),
    );
    noteOwnership(folder, session(20), new Map([[volume, '1000:1000 644']]));
    noteOwnership(folder, session(30), new Map([[volume, undefined]]));
    noteOwnership(folder, session(40), new Map([[volume, '0:0 600']]));
    assert.deepEqual([9, 10, 19, 20, 29, 30, 40, 59].map(at), [
      undefined,
      '0:0 600',
      '0:0 600',
      '1000:1000 644',
      '1000:1000 644',
      undefined,
      '0:0 600',
      '0:0 600',
    ]);
    assert.equal(archivedOwnership(folder, other, session(50)), '5:5 644');
  });

  it('is written where it changed only', (t) => {
    const folder = scratchFor(t);
    noteOwnership(folder, session(1), new Map([[volume, undefined]]));
    assert.throws(() => statSync(join(folder, 'ownership.json')));
    noteOwnership(folder, session(2), new Map([[volume, '0:0 600']]));
    const text = readFileSync(join(folder, 'ownership.json'), 'utf8');
    const { ino } = statSync(join(folder, 'ownership.json'));
    noteOwnership(folder, session(3), new Map([[volume, '0:0 600']]));
    assert.equal(statSync(join(folder, 'ownership.json')).ino, ino);
    assert.equal(readFileSync(join(folder, 'ownership.json'), 'utf8'), text);
  });

  it('is not known where the note cannot be read (G3)', (t) => {
    const folder = scratchFor(t);
    noteOwnership(folder, session(1), new Map([[volume, '0:0 600']]));
    writeFileSync(join(folder, 'ownership.json'), '{"v":1,"volumes":');
    assert.equal(archivedOwnership(folder, volume, session(1)), undefined);
    noteOwnership(folder, session(2), new Map([[volume, '0:0 600']]));
    assert.equal(archivedOwnership(folder, volume, session(1)), undefined);
    assert.equal(archivedOwnership(folder, volume, session(2)), '0:0 600');
  });
});
