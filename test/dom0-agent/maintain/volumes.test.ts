import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_TAGS } from '../../../dom0-agent/content/catalogue.ts';
import { deleteEntry, renameEntry, tagSession } from '../../../dom0-agent/maintain/volumes.ts';
import type { Rules } from '../../../vm-receiver/store/store.ts';
import { ArchiveInMemory, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { fault } from '../content/objects.ts';
import { catalogued, heldSessions, memoryPool, recordChanges, recorded, tagged, writerOf } from './memory-writer.ts';

/** Two volumes, the first session of one of them protected. */
async function twoVolumes(t: it.TestContext, rules?: Rules) {
  const archive = await ArchiveInMemory.make(t, rules === undefined ? {} : { rules });
  const work = tagged(await archive.commit('work', [1, 2]), { [sessionOn(1)]: ['protected:law', 'old'] });
  await archive.list(work, await archive.commit('vault', [1, 2]));
  const pool = memoryPool(archive);
  const writer = () => writerOf(archive, { pools: [pool] });
  const tag = async (session: string, add: readonly string[], remove: readonly string[] = []) =>
    await tagSession(await writer(), { volume: 'work', session: session as never, add, remove });
  const sequence = async () => archive.state.content.openCatalogue(await archive.shown()).sequence;
  return { archive, pool, writer, tag, sequence };
}

describe('tag', () => {
  it('adds and removes, each tag once; a session without tags leaves no entry', async (t) => {
    const { archive, tag } = await twoVolumes(t);
    assert.deepEqual(await tag(sessionOn(2), ['a', 'b', 'a']), ['a', 'b']);
    assert.deepEqual(await tag(sessionOn(2), ['c'], ['a', 'never']), ['b', 'c']);
    assert.deepEqual((await catalogued(archive)).get('work')?.tags[sessionOn(2)], ['b', 'c']);
    assert.deepEqual(await tag(sessionOn(2), [], ['b', 'c']), []);
    assert.deepEqual(Object.keys((await catalogued(archive)).get('work')!.tags), [sessionOn(1)]);
  });

  it('tells the receiver of protection, as one bit, and only where that changed', async (t) => {
    const { archive, tag } = await twoVolumes(t);
    const held = async () => (await heldSessions(archive))[volumeId('work')];
    await tag(sessionOn(2), ['seen']);
    assert.deepEqual(await held(), [sessionOn(1), sessionOn(2)], 'the receiver learns nothing of other tags');
    await tag(sessionOn(2), ['protected']);
    assert.deepEqual(await held(), [`${sessionOn(1)}*`, `${sessionOn(2)}*`], 'and what it lacked is put right');
    await tag(sessionOn(1), ['protected'], ['protected:law']);
    assert.deepEqual(await held(), [`${sessionOn(1)}*`, `${sessionOn(2)}*`]);
    await tag(sessionOn(1), [], ['protected']);
    assert.deepEqual(await held(), [sessionOn(1), `${sessionOn(2)}*`]);
  });

  it('where nothing changes no catalogue is written', async (t) => {
    const { tag, sequence } = await twoVolumes(t);
    const before = await sequence();
    assert.deepEqual(await tag(sessionOn(1), ['old'], ['never']), ['protected:law', 'old']);
    assert.equal(await sequence(), before);
  });

  it('refuses a session that is not there, and a tag too many; what is gone can lose its tags', async (t) => {
    const { archive, tag, sequence } = await twoVolumes(t);
    await archive.commit('work', [3]);
    const before = await sequence();
    for (const day of [3, 9]) await assert.rejects(tag(sessionOn(day), ['a']), fault('not-found'), 'not listed yet');
    const many = Array.from({ length: MAX_TAGS - 1 }, (_, at) => `tag ${at}`);
    await assert.rejects(tag(sessionOn(1), many), fault('usage'));
    assert.equal(await sequence(), before);
    archive.lies = (honest) => ({
      volumes: () => [...honest.volumes()].map((each) => ({ ...each, sessions: each.sessions.slice(1) })),
    });
    await assert.rejects(tag(sessionOn(1), ['a']), fault('not-found'));
    assert.deepEqual(await tag(sessionOn(1), [], ['protected:law', 'old']), []);
  });
});

describe('rename', () => {
  it('changes the name alone, and takes dom0’s record of changes along', async (t) => {
    const { archive, pool, writer } = await twoVolumes(t);
    await recordChanges(pool, 'work', archive.state.record.archive);
    const before = (await catalogued(archive)).get('work');
    assert.equal(await renameEntry(await writer(), 'work', 'job'), undefined);
    assert.deepEqual((await catalogued(archive)).get('job'), { ...before, name: 'job' });
    assert.deepEqual(recorded(pool), ['job']);
  });

  it('refuses a name that is in use, empty or too long; that of a deleted volume is free', async (t) => {
    const { archive, writer, sequence } = await twoVolumes(t);
    const before = await sequence();
    for (const name of ['vault', 'work', '', 'é'.repeat(2049)]) {
      await assert.rejects(renameEntry(await writer(), 'work', name), fault('usage'), name);
    }
    await assert.rejects(renameEntry(await writer(), 'nothing', 'job'), fault('not-found'));
    assert.equal(await sequence(), before);
    await deleteEntry(await writer(), 'vault');
    await renameEntry(await writer(), 'work', 'vault');
    const named = archive.state.content.openCatalogue(await archive.shown()).volumes;
    assert.deepEqual(named.map(({ name, state }) => `${name} ${state}`).sort(), ['vault active', 'vault deleted']);
  });
});

describe('delete', () => {
  it('leaves a tombstone, so that the receiver cannot bring the volume back', async (t) => {
    const { archive, pool, writer } = await twoVolumes(t);
    await recordChanges(pool, 'vault', archive.state.record.archive);
    assert.ok((await deleteEntry(await writer(), 'vault')) > 0);
    const { id, state, session, head, tags } = (await catalogued(archive)).get('vault')!;
    assert.deepEqual(
      { id, state, session, head, tags },
      {
        ...{ id: volumeId('vault'), state: 'deleted', session: null, head: null, tags: {} },
      },
    );
    assert.deepEqual(Object.keys(await heldSessions(archive)), [volumeId('work')]);
    assert.deepEqual(recorded(pool), []);
    await assert.rejects(deleteEntry(await writer(), 'vault'), fault('not-found'));
  });

  it('what the receiver would refuse is refused before any catalogue says it', async (t) => {
    const { writer, sequence } = await twoVolumes(t);
    const before = await sequence();
    await assert.rejects(deleteEntry(await writer(), 'work'), {
      code: 'refused',
      message: new RegExp(`${sessionOn(1)} of work`),
    });
    assert.equal(await sequence(), before);
    const strict = await twoVolumes(t, { minKeep: 1, allowDelete: false });
    const shown = await strict.sequence();
    await assert.rejects(deleteEntry(await strict.writer(), 'vault'), { code: 'refused', hint: /allow_delete/ });
    assert.equal(await strict.sequence(), shown);
    assert.equal(Object.keys(await heldSessions(strict.archive)).length, 2);
  });
});
