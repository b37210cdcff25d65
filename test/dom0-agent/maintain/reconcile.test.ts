// What follows from a new catalogue is done once, however often it was begun: cut off at every step, in dom0 and at the
// receiver, and finished by the next command.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { finishChanges, protectedAndMissing } from '../../../dom0-agent/maintain/reconcile.ts';
import { deleteEntry, renameEntry, tagSession } from '../../../dom0-agent/maintain/volumes.ts';
import type { Writer } from '../../../dom0-agent/maintain/writer.ts';
import {
  hasUnfinishedChanges,
  noteChanges,
  unfinishedChanges,
} from '../../../dom0-agent/proven-archive/unfinished-changes.ts';
import { asSparsebakError } from '../../../shared/errors.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { ArchiveInMemory, silent, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { cutAtEach } from '../../fixtures/cut-off.ts';
import { catalogued, heldSessions, memoryPool, recordChanges, recorded, tagged, writerOf } from './memory-writer.ts';

const PROTECTED = { [sessionOn(1)]: ['protected'] };

/** Two volumes, one with a protected session, of both of which dom0 has a record of changes. */
async function twoVolumes(t: it.TestContext, encrypted = true) {
  const archive = await ArchiveInMemory.make(t, { encrypted });
  const work = tagged(await archive.commit('work', [1, 2]), PROTECTED);
  const vault = await archive.commit('vault', [1, 2]);
  await archive.list(work, vault);
  const pool = memoryPool(archive);
  for (const name of ['work', 'vault']) await recordChanges(pool, name, archive.state.record.archive);
  await (await archive.stored()).protect(work.id, sessionOn(1), true);
  const writer = (): Promise<Writer> => writerOf(archive, { pools: [pool] });
  /** All that a change has to bring about, in every place. */
  const outcome = async () => ({
    names: [...(await catalogued(archive)).values()].map(({ name, state }) => `${name} ${state}`).sort(),
    held: await heldSessions(archive),
    clear: [...(await archive.stored()).volumes()].map(({ name }) => name),
    records: recorded(pool).sort(),
    unfinished: hasUnfinishedChanges(archive.state),
  });
  return { archive, pool, writer, outcome };
}

type Scene = Awaited<ReturnType<typeof twoVolumes>>;

interface Change {
  readonly title: string;
  readonly encrypted: boolean;
  readonly run: (writer: Writer) => Promise<unknown>;
}

const CHANGES: readonly Change[] = [
  { title: 'a deletion', encrypted: true, run: (writer) => deleteEntry(writer, 'vault') },
  { title: 'a renaming', encrypted: false, run: (writer) => renameEntry(writer, 'vault', 'safe') },
  {
    title: 'a protection',
    encrypted: true,
    run: (writer) => tagSession(writer, { volume: 'vault', session: sessionOn(1), add: ['protected'], remove: [] }),
  },
  {
    title: 'a protection that ends',
    encrypted: true,
    run: (writer) => tagSession(writer, { volume: 'work', session: sessionOn(1), add: [], remove: ['protected'] }),
  },
];

const CALLS = ['putCatalogue', 'protect', 'rename', 'delete'] as const;

type Call = (...args: unknown[]) => Promise<unknown>;

/** From call number `at` on the connection is gone, before or after what is asked was done. */
function cutCall(scene: Scene, at: number, moment: 'before' | 'after', writer: () => Writer): { count: () => number } {
  let count = 0;
  scene.archive.lies = (honest) => {
    const own = honest as unknown as Record<string, Call>;
    const lies = CALLS.map((name): [string, Call] => [
      name,
      async (...args) => {
        const isCut = count++ === at;
        if (isCut && moment === 'before') {
          writer().open.client.close();
          throw new Refusal('io', 'cut off');
        }
        const answer = await own[name]!(...args);
        if (isCut) writer().open.client.close();
        return answer;
      },
    ]);
    return Object.fromEntries(lies);
  };
  return { count: () => count };
}

for (const { title, encrypted, run } of CHANGES) {
  describe(title, () => {
    const changed = async (t: it.TestContext) => {
      const scene = await twoVolumes(t, encrypted);
      const before = await scene.outcome();
      await run(await scene.writer());
      const after = await scene.outcome();
      assert.notDeepEqual(after, before);
      assert.equal(after.unfinished, false);
      return { before, after };
    };

    it('G1 I9 cut off between any two steps on dom0’s disk, it happened or it did not', async (t) => {
      const { before, after } = await changed(t);
      const outcomes: unknown[] = [];
      await cutAtEach(async () => {
        const scene = await twoVolumes(t, encrypted);
        const writer = await scene.writer();
        const finish = async (at: number) => {
          await finishChanges(await scene.writer());
          const outcome = await scene.outcome();
          outcomes.push(outcome);
          if (!isDeepStrictEqual(outcome, before)) assert.deepEqual(outcome, after, `step ${at}`);
        };
        return { work: () => run(writer), after: finish };
      });
      assert.deepEqual([outcomes[0], outcomes.at(-1)], [before, after]);
    });

    for (const moment of ['before', 'after'] as const) {
      it(`W2 I9 cut off ${moment} any request to the receiver, the next command finishes it`, async (t) => {
        const { before, after } = await changed(t);
        for (let at = 0; ; at++) {
          const scene = await twoVolumes(t, encrypted);
          const calls = cutCall(scene, at, moment, () => writer);
          const writer = await scene.writer();
          await run(writer).catch((error: unknown) => {
            assert.equal(asSparsebakError(error).code, 'unreachable', String(error));
          });
          const total = calls.count();
          scene.archive.lies = () => ({});
          await finishChanges(await scene.writer());
          const outcome = await scene.outcome();
          // A put that did not arrive is put again by the next command.
          assert.deepEqual(outcome, after, `request ${at}`);
          assert.notDeepEqual(outcome, before);
          if (total <= at) break;
        }
      });
    }
  });
}

describe('finishChanges', () => {
  it('what the receiver refuses stays noted, and keeps the command from nothing', async (t) => {
    const { archive, writer, outcome } = await twoVolumes(t);
    const warnings: string[] = [];
    const log = Object.assign(Object.create(silent) as typeof silent, { warn: (text: string) => warnings.push(text) });
    archive.lies = () => ({ delete: () => Promise.reject(new Refusal('refused', 'not today')) });
    await assert.rejects(deleteEntry(await writer(), 'vault'), { code: 'refused' });
    await finishChanges({ ...(await writer()), log });
    assert.match(warnings.join(), /not today/);
    assert.deepEqual(unfinishedChanges(archive.state), [{ volume: volumeId('vault') }]);
    archive.lies = () => ({});
    await finishChanges(await writer());
    assert.deepEqual((await outcome()).held, { [volumeId('work')]: [`${sessionOn(1)}*`, sessionOn(2)] });
    assert.equal((await outcome()).unfinished, false);
  });

  it('a connection that breaks is no refusal: the command ends', async (t) => {
    const { archive, writer } = await twoVolumes(t);
    noteChanges(archive.state, [{ volume: volumeId('work') }]);
    const own = await writer();
    own.open.client.close();
    await assert.rejects(finishChanges(own), { code: 'unreachable' });
    assert.equal(hasUnfinishedChanges(archive.state), true);
  });

  it('G3 a note that cannot be read: every volume is brought to what the catalogue says', async (t) => {
    const { archive, writer, outcome } = await twoVolumes(t);
    const honest = await archive.stored();
    await honest.protect(volumeId('work'), sessionOn(1), false);
    await honest.protect(volumeId('vault'), sessionOn(2), true);
    await archive.commit('gone', [1]);
    await honest.protect(volumeId('gone'), sessionOn(1), true);
    const entries = [...(await catalogued(archive)).values()];
    const tombstone = {
      id: volumeId('gone'),
      name: 'gone',
      state: 'deleted',
      session: null,
      head: null,
      tags: {},
    } as const;
    await archive.list(...entries, tombstone);
    writeFileSync(archive.file('unfinished-changes'), '[{');
    await finishChanges(await writer());
    const { held, unfinished } = await outcome();
    assert.deepEqual(held, {
      [volumeId('work')]: [`${sessionOn(1)}*`, sessionOn(2)],
      [volumeId('vault')]: [sessionOn(1), sessionOn(2)],
    });
    assert.equal(unfinished, false);
  });

  it('a volume that no catalogue lists yet was not changed: nothing of it is touched', async (t) => {
    const { archive, writer, outcome } = await twoVolumes(t);
    await archive.commit('new', [1]);
    noteChanges(archive.state, [{ volume: volumeId('new') }]);
    await finishChanges(await writer());
    const { held, unfinished } = await outcome();
    assert.deepEqual([held[volumeId('new')], unfinished], [[sessionOn(1)], false]);
  });

  it('a deleted volume’s record stays where another volume has its name by now', async (t) => {
    const { archive, writer, outcome } = await twoVolumes(t);
    const { work, vault } = Object.fromEntries(await catalogued(archive)) as Record<'work' | 'vault', never>;
    const volume = volumeId('vault', 2);
    const again = await archive.commit('vault', [3], { volume });
    const old = { ...(vault as typeof again), state: 'deleted', session: null, head: null } as const;
    await archive.list(work, old, again);
    noteChanges(archive.state, [{ volume: old.id }]);
    await finishChanges(await writer());
    const { held, records } = await outcome();
    assert.deepEqual([held[old.id], held[volume], records], [undefined, [sessionOn(3)], ['vault', 'work']]);
  });

  it('of a rename the record stays, and it is said why, where the old name is a volume still', async (t) => {
    const { pool, writer, outcome } = await twoVolumes(t);
    pool.source.create('vault', 4096);
    const why = await renameEntry(await writer(), 'vault', 'safe');
    assert.match(why?.message ?? '', /vault is still a volume/);
    assert.deepEqual((await outcome()).records, ['vault', 'work']);
    assert.equal((await outcome()).unfinished, false);
  });
});

describe('protectedAndMissing', () => {
  it('names sessions that a tag protects and that the receiver does not show', async (t) => {
    const { archive } = await twoVolumes(t);
    const { reader } = await archive.open();
    const work = (await catalogued(archive)).get('work')!;
    const missing = tagged(work, { [sessionOn(9)]: ['protected:law'], [sessionOn(8)]: ['seen'] });
    assert.deepEqual(protectedAndMissing(missing, await reader.volumes()), [sessionOn(9)]);
    assert.deepEqual(protectedAndMissing(work, await reader.volumes()), []);
  });
});
