import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CatalogueVolume } from '../../../dom0-agent/content/catalogue.ts';
import { adoptArchive } from '../../../dom0-agent/maintain/adopt-archive.ts';
import type { ArchiveState } from '../../../dom0-agent/proven-archive/archive-state.ts';
import { Pin } from '../../../dom0-agent/proven-archive/pin.ts';
import { refuseForeignWriter } from '../../../dom0-agent/proven-archive/write-lock.ts';
import type { PairingId } from '../../../shared/archive/names.ts';
import { CHUNKS_PER_RANGE } from '../../../shared/archive/address.ts';
import { ArchiveInMemory, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { CHUNK_SIZE, fault } from '../content/objects.ts';
import { catalogued, heldSessions, writerOf } from './memory-writer.ts';

/** An archive that this computer wrote, and another computer that takes it over. */
async function anotherComputer(t: it.TestContext) {
  const archive = await ArchiveInMemory.make(t);
  const work = await archive.commit('work', [1, 2]);
  await archive.list(work);
  const state = archive.otherComputer();
  const adopt = async (options = {}) =>
    await adoptArchive(await writerOf(archive, { state, adopts: true, ...options }));
  return { archive, work, state, adopt };
}

const PAIRING = 'cd'.repeat(16) as PairingId;

/** A send of the old computer that was cut off after its first range. */
async function cutOffSend(archive: ArchiveInMemory, { id }: CatalogueVolume): Promise<void> {
  const stored = await archive.stored();
  const base = [...stored.heads(id, [])].at(-1)?.session ?? null;
  const size = 2 * CHUNKS_PER_RANGE * CHUNK_SIZE;
  const send = await stored.begin({
    ...{ volume: id, pairing: PAIRING, base, session: sessionOn(20), size, resume: false, name: null },
  });
  await send.zeros(0, CHUNKS_PER_RANGE);
  await send.checkpoint(size / 2);
  await stored.close();
}

async function mayResume(archive: ArchiveInMemory, { id }: CatalogueVolume): Promise<boolean> {
  return (await (await archive.stored()).resolve(id, PAIRING, true)).checkpoint !== undefined;
}

const sequenceOf = (state: ArchiveState) => new Pin(state).known.catalogue.sequence;

describe('adopt', () => {
  it('G7 makes this computer the writer; the one before takes that, and may only read', async (t) => {
    const { archive, state, adopt } = await anotherComputer(t);
    const before = new Pin(archive.state).known;
    assert.deepEqual(await adopt(), []);
    const old = await archive.open({ writes: false });
    assert.equal(old.pinned.catalogue.writer, state.settings.writer);
    const { writer, sequence } = before.catalogue;
    assert.deepEqual(old.pinned.catalogue.adopted, [{ writer, sequence, hash: before.hash }]);
    assert.throws(() => {
      refuseForeignWriter(old);
    }, fault('refused'));
    refuseForeignWriter(await archive.open({ state }));
  });

  it('takes in sessions and volumes that no catalogue lists, under names that are free', async (t) => {
    const { archive, work, adopt } = await anotherComputer(t);
    await archive.commit('work', [3]);
    const again = await archive.commit('work', [1], { volume: volumeId('work', 2) });
    const vault = await archive.commit('vault', [2]);
    const names = (await adopt()).map(({ name, session, isNew }) => `${name} ${session} ${String(isNew)}`);
    assert.deepEqual(
      names.sort(),
      [`vault ${sessionOn(2)} true`, `work (2) ${sessionOn(1)} true`, `work ${sessionOn(3)} false`].sort(),
    );
    const listed = await catalogued(archive);
    assert.deepEqual([...listed.keys()].sort(), ['vault', 'work', 'work (2)']);
    assert.deepEqual([listed.get('work')?.id, listed.get('work')?.session], [work.id, sessionOn(3)]);
    assert.deepEqual([listed.get('work (2)')?.id, listed.get('vault')?.head], [again.id, vault.head]);
  });

  it('numbers its catalogue above every head that it takes in', async (t) => {
    const { archive, state, adopt } = await anotherComputer(t);
    await archive.commit('work', [3], { sequence: 500 });
    await archive.commit('vault', [3], { sequence: 700 });
    await adopt();
    assert.ok(sequenceOf(state) > 700);
  });

  it('brings no deleted volume back, whatever the receiver still has of it, and deletes that', async (t) => {
    const { archive, work, adopt } = await anotherComputer(t);
    const gone = await archive.commit('gone', [1]);
    await archive.list(work, { ...gone, state: 'deleted', session: null, head: null });
    assert.deepEqual(await adopt(), []);
    assert.equal((await catalogued(archive)).get('gone')?.state, 'deleted');
    assert.deepEqual(Object.keys(await heldSessions(archive)), [work.id]);
  });

  it('discards unfinished sends, so that the other computer cannot resume one over what was adopted', async (t) => {
    const { archive, work, adopt } = await anotherComputer(t);
    await cutOffSend(archive, work);
    assert.ok(await mayResume(archive, work));
    await adopt();
    assert.ok(!(await mayResume(archive, work)));
  });
});

describe('adopt refuses, and has changed nothing: not even an unfinished send is discarded', () => {
  const refusals = {
    'A7 where the newest session of a volume is withheld': async (archive: ArchiveInMemory) => {
      archive.lies = (honest) => ({
        volumes: () => [...honest.volumes()].map((each) => ({ ...each, sessions: each.sessions.slice(0, -1) })),
      });
      return Promise.resolve('rollback' as const);
    },
    'A5 where it is not the head that the catalogue lists': async (archive: ArchiveInMemory, work: CatalogueVolume) => {
      await archive.list({ ...work, head: new Uint8Array(32).fill(7) });
      return 'integrity' as const;
    },
    'where a later session is damaged': async (archive: ArchiveInMemory, work: CatalogueVolume) => {
      await archive.commit('work', [3]);
      damageHeads(archive, work.id);
      return 'integrity' as const;
    },
    'where the session of a volume that no catalogue lists is damaged': async (archive: ArchiveInMemory) => {
      await archive.commit('vault', [3]);
      damageHeads(archive, volumeId('vault'));
      return 'integrity' as const;
    },
  };

  /** Of sessions of the third day on. */
  function damageHeads(archive: ArchiveInMemory, id: string): void {
    archive.lies = (honest) => ({
      *heads(volume, asked) {
        for (const head of honest.heads(volume, asked)) {
          const isDamaged = volume === id && head.session >= sessionOn(3);
          yield isDamaged ? { ...head, data: head.data.with(60, head.data[60]! ^ 1) } : head;
        }
      },
    });
  }

  for (const [title, prepare] of Object.entries(refusals)) {
    it(title, async (t) => {
      const { archive, work, adopt } = await anotherComputer(t);
      const code = await prepare(archive, work);
      await cutOffSend(archive, work);
      const shown = await archive.shown();
      await assert.rejects(adopt(), fault(code));
      assert.deepEqual(await archive.shown(), shown);
      assert.ok(await mayResume(archive, work));
    });
  }

  it('at the user’s word it takes what is there instead of what is withheld', async (t) => {
    const { archive, adopt } = await anotherComputer(t);
    archive.lies = (honest) => ({
      volumes: () => [...honest.volumes()].map((each) => ({ ...each, sessions: each.sessions.slice(0, -1) })),
    });
    assert.deepEqual(await adopt({ acceptRollback: true }), [{ name: 'work', session: sessionOn(1), isNew: false }]);
    assert.equal((await catalogued(archive)).get('work')?.session, sessionOn(1));
  });
});
