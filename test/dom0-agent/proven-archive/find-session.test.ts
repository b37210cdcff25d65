import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  findSession,
  listedVolumes,
  newestFault,
  tooManySessions,
} from '../../../dom0-agent/proven-archive/find-session.ts';
import type { CatalogueVolume } from '../../../dom0-agent/content/catalogue.ts';
import { ArchiveInMemory, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { fault } from '../content/objects.ts';

/** An archive whose catalogue lists a volume with three sessions, one without any, and one that was deleted. */
async function threeSessions(t: it.TestContext) {
  const archive = await ArchiveInMemory.make(t);
  const work = await archive.commit('work', [1, 2, 3]);
  const empty: CatalogueVolume = { ...work, id: volumeId('empty'), name: 'empty', session: null, head: null };
  await archive.list(work, empty, { ...empty, id: volumeId('gone'), name: 'gone', state: 'deleted' });
  const find = async (session?: string, volume = work) => await findSession(await archive.open(), volume, session);
  return { archive, work, empty, find };
}

describe('volumes by the user’s names', () => {
  it('are those that the catalogue lists, without the deleted ones', async (t) => {
    const { archive } = await threeSessions(t);
    const open = await archive.open();
    const names = (...asked: string[]) => listedVolumes(open, asked).map(({ name }) => name);
    assert.deepEqual(names(), ['empty', 'work'], 'by name');
    assert.deepEqual(names('work', 'empty'), ['work', 'empty'], 'as they were asked for');
    for (const name of ['gone', 'nothing', '']) assert.throws(() => names('work', name), fault('not-found'));
  });
});

describe('findSession', () => {
  it('finds the newest without a name, and any by its name', async (t) => {
    const { find } = await threeSessions(t);
    assert.equal((await find()).head.session, sessionOn(3));
    assert.equal((await find(sessionOn(1))).head.session, sessionOn(1));
  });

  it('what the user got wrong is told as that, with what there is', async (t) => {
    const { find, empty } = await threeSessions(t);
    await assert.rejects(find('yesterday'), fault('usage'));
    await assert.rejects(find('S_20261332-020000'), fault('usage'));
    await assert.rejects(find(sessionOn(9)), {
      code: 'not-found',
      hint: new RegExp(`${sessionOn(2)}, ${sessionOn(3)}`),
    });
    await assert.rejects(find(undefined, empty), fault('not-found'));
  });

  it('A7 the newest that the receiver does not show is a rollback, and older ones are offered', async (t) => {
    const { archive, find, work } = await threeSessions(t);
    archive.lies = (honest) => ({
      volumes: () => [...honest.volumes()].map((each) => ({ ...each, sessions: each.sessions.slice(0, -1) })),
    });
    await assert.rejects(find(), { code: 'rollback', hint: new RegExp(`--session.*${sessionOn(1)}, ${sessionOn(2)}`) });
    const { reader } = await archive.open();
    assert.equal(newestFault(work, await reader.volumes())?.code, 'rollback');
    assert.equal((await find(sessionOn(2))).head.session, sessionOn(2));
  });

  it('A5 the newest is the head that the catalogue lists: an authentic one of that name will not do', async (t) => {
    const { archive, find, work } = await threeSessions(t);
    const forged = archive.state.content.sealHead({
      ...(await find()).head,
      name: 'another send that took the same name',
    });
    archive.lies = (honest) => ({
      *heads(volume, asked) {
        for (const head of honest.heads(volume, asked)) {
          yield head.session === work.session ? { ...head, data: forged.stored } : head;
        }
      },
    });
    await assert.rejects(find(), {
      code: 'integrity',
      message: /^work.*catalogue/,
      hint: new RegExp(`--session.*${sessionOn(1)}, ${sessionOn(2)}`),
    });
    assert.ok(await find(sessionOn(1)), 'nor does it keep anybody from the others');
  });

  it('W12 a volume that cannot be listed at all is told by its name, with the receiver’s reason', async (t) => {
    const { archive, work, empty } = await threeSessions(t);
    archive.lies = () => ({
      volumes: (onLost) => {
        onLost?.(work.id, new Refusal('io', 'an I/O error\u001b'));
        return [];
      },
    });
    const listing = await (await archive.open()).reader.volumes();
    assert.match(newestFault(work, listing)?.message ?? '', /work.*: an I\/O error\\/);
    assert.equal(newestFault(work, listing)?.code, 'integrity');
    assert.equal(newestFault(empty, listing), undefined);
  });

  it('a receiver that lists more sessions than the archive ever had is told by the volume’s name', () => {
    const { code, message } = tooManySessions('work', { count: 3, oldest: sessionOn(1) });
    assert.deepEqual([code, message.includes('3 more sessions of work')], ['integrity', true]);
  });
});
