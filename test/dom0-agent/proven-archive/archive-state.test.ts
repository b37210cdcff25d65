import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ArchiveState } from '../../../dom0-agent/proven-archive/archive-state.ts';
import { encodeMap } from '../../../shared/wire/msgpack.ts';
import { newRecord } from '../../../dom0-agent/content/keys.ts';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { ArchiveInMemory, NAME, sessionOn, timeOn } from '../../fixtures/archive-in-memory.ts';
import { cutAtEach } from '../../fixtures/cut-off.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { CHUNK_SIZE, fault } from '../content/objects.ts';

describe('sequences and session names', () => {
  it('G1 are never given out twice, wherever the command that took one was cut off', async (t) => {
    await cutAtEach(async () => {
      const { state } = await ArchiveInMemory.make(t);
      const taken: { sequence: number; session: string }[] = [state.burnSession(5, undefined, timeOn(3))];
      const after = (at: number) => {
        taken.push(
          ArchiveState.open(state.folder.replace(/\/archives\/.*/, ''), NAME).burnSession(5, undefined, timeOn(3)),
        );
        assert.equal(new Set(taken.map(({ sequence }) => sequence)).size, taken.length, `step ${at}`);
        assert.equal(new Set(taken.map(({ session }) => session)).size, taken.length, `step ${at}`);
        return Promise.resolve();
      };
      return { work: () => taken.push(state.burnSession(5, undefined, timeOn(3))), after };
    });
  });

  it('rise above what the archive has, the clock, and what was taken, whichever is highest', async (t) => {
    const { state } = await ArchiveInMemory.make(t);
    const burned = state.burnedSequence;
    assert.equal(state.burnSequence(0), burned + 1);
    assert.equal(state.burnSequence(70), 71);
    assert.deepEqual(state.burnSession(0, sessionOn(9), timeOn(3)), {
      sequence: 72,
      session: sessionOn(9).replace(/00$/, '01'),
    });
    assert.equal(state.burnSession(0, undefined, timeOn(20)).session, sessionOn(20));
    assert.equal(state.burnSequence(0), 74, 'a change between two sends');
    assert.equal(state.burnSession(0, undefined, timeOn(3)).session, sessionOn(20).replace(/00$/, '01'));
  });

  it('G3 lost or damaged, they go on above what the archive shows', async (t) => {
    const { state } = await ArchiveInMemory.make(t);
    const file = `${state.folder}/sequence`;
    for (const text of ['', '-5', '1e400', 'x S_20261103-020000', '3 S_x']) {
      writeFileSync(file, text);
      assert.equal(state.burnSequence(40), 41, text);
    }
    rmSync(file);
    assert.equal(state.burnSession(40, sessionOn(2), timeOn(1)).session, sessionOn(2).replace(/00$/, '01'));
  });
});

describe('dom0’s state of an archive', () => {
  it('G1 is not there before its last file is: an init that was cut off can be made again', async (t) => {
    const record = newRecord({ name: NAME, encrypted: true, codec: 'gzip', chunkSize: CHUNK_SIZE, dedup: false });
    await cutAtEach(() => {
      const stateDir = scratchFor(t);
      const create = () => ArchiveState.create(stateDir, NAME, record, { codec: 'gzip', level: 1, creating: true });
      const after = (at: number) => {
        if (ArchiveState.exists(stateDir, NAME)) {
          assert.deepEqual(ArchiveState.open(stateDir, NAME).record, record, `step ${at}`);
        } else assert.throws(() => ArchiveState.open(stateDir, NAME), fault('config'));
        assert.deepEqual(create().record, record);
        return Promise.resolve();
      };
      return Promise.resolve({ work: create, after });
    });
  });

  it('of a newer release is not called damaged, and says what to do', async (t) => {
    const { state, stateDir } = await ArchiveInMemory.make(t);
    writeFileSync(`${state.folder}/record`, encodeMap({ v: 1, ...state.record, identity: 'kmac' }));
    assert.throws(() => ArchiveState.open(stateDir, NAME), {
      code: 'config',
      message: /newer release.*"identity"/,
      hint: /^Upgrade/,
    });
  });

  it('G3 damaged, it is named with the way out; of another archive’s name it is refused', async (t) => {
    const { state, stateDir } = await ArchiveInMemory.make(t);
    for (const file of ['record', 'settings.json']) {
      const path = `${state.folder}/${file}`;
      const whole = readFileSync(path);
      for (const bytes of [new Uint8Array(0), whole.subarray(0, -3)]) {
        writeFileSync(path, bytes);
        assert.throws(() => ArchiveState.open(stateDir, NAME), { code: 'integrity', hint: /key unlock --again/ });
      }
      writeFileSync(path, whole);
    }
    const other = 'vault' as ArchiveName;
    ArchiveState.create(
      stateDir,
      other,
      { ...state.record, name: other },
      { codec: 'gzip', level: 1, creating: false },
    );
    writeFileSync(`${state.folder}/record`, readFileSync(`${stateDir}/archives/vault/record`));
    assert.throws(() => ArchiveState.open(stateDir, NAME), { code: 'config', message: /"vault"/ });
  });
});
