import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  goingOf,
  planPrune,
  removesMost,
  type PruneChoice,
  type VolumePlan,
} from '../../../dom0-agent/maintain/prune-plan.ts';
import type { RetentionPolicy } from '../../../shared/archive/retention.ts';
import type { Rules } from '../../../vm-receiver/store/store.ts';
import { ArchiveInMemory, sessionOn, timeOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { fault } from '../content/objects.ts';
import { tagged } from './memory-writer.ts';

const days = (...numbers: readonly number[]) => numbers.map(sessionOn);
const range = (first: number, last = first): PruneChoice => {
  return { kind: 'sessions', first: sessionOn(first), last: sessionOn(last) };
};
const byPolicy = (policy: RetentionPolicy): PruneChoice => ({ kind: 'policy', policy });

/** Two volumes: one of five sessions, of which one is tagged to be kept and one is protected; and a quiet one. */
async function twoVolumes(t: it.TestContext, rules: Rules = { minKeep: 1, allowDelete: true }) {
  const archive = await ArchiveInMemory.make(t, { rules });
  const work = tagged(await archive.commit('work', [1, 2, 3, 4, 5]), {
    [sessionOn(1)]: ['release'],
    [sessionOn(2)]: ['protected'],
  });
  const vault = await archive.commit('vault', [3, 4]);
  await archive.list(work, vault);
  const plan = async (choice: PruneChoice, ...names: string[]) =>
    (await planPrune(await archive.open(), names, choice)).plans;
  return { archive, work, vault, plan };
}

/** By volume, what goes. */
function going(plans: readonly VolumePlan[]): Record<string, string[]> {
  return Object.fromEntries(plans.map((plan) => [plan.name, goingOf(plan)]));
}

/** Why the sessions of a volume stay. */
function reasons(plans: readonly VolumePlan[], name: string): Record<string, readonly string[]> {
  const sessions = plans.find((plan) => plan.name === name)?.sessions ?? [];
  return Object.fromEntries(sessions.map(({ session, reasons: why }) => [session, why]));
}

describe('sessions by name', () => {
  it('both ends go, what is protected and the newest stay, and so does what was not named', async (t) => {
    const { plan } = await twoVolumes(t);
    const plans = await plan(range(1, 4));
    assert.deepEqual(going(plans), { work: days(1, 3, 4), vault: days(3) });
    assert.deepEqual(reasons(plans, 'work'), {
      ...{ [sessionOn(1)]: [], [sessionOn(2)]: ['protected'], [sessionOn(3)]: [], [sessionOn(4)]: [] },
      [sessionOn(5)]: ['unnamed', 'newest'],
    });
    assert.deepEqual(going(await plan(range(3), 'work')), { work: days(3) }, 'of that volume only');
  });

  it('what the receiver keeps is not planned, and what it protects without a tag neither', async (t) => {
    const { archive, work, plan } = await twoVolumes(t, { minKeep: 3, allowDelete: true });
    const plans = await plan(range(1, 9));
    assert.deepEqual(going(plans), { work: days(1), vault: [] });
    assert.deepEqual(reasons(plans, 'work')[sessionOn(3)], ['min-keep']);
    await (await archive.stored()).protect(work.id, sessionOn(1), true);
    await assert.rejects(plan(range(1, 9)), fault('failed'), 'all that is named stays');
  });

  it('names that match nothing, or nothing that may go, are an error: nothing is passed over in silence', async (t) => {
    const { plan } = await twoVolumes(t);
    await assert.rejects(plan(range(8, 9)), fault('not-found'));
    await assert.rejects(plan(range(5), 'vault'), fault('not-found'));
    await assert.rejects(plan(range(2), 'work'), { code: 'failed', message: new RegExp(`${sessionOn(2)} of work`) });
    await assert.rejects(plan(range(5), 'work'), fault('failed'));
    await assert.rejects(plan(range(1), 'nothing'), fault('not-found'));
  });
});

describe('a policy', () => {
  it('keeps moments, over all volumes: a volume that was quiet keeps what it was then', async (t) => {
    const { archive, work, plan } = await twoVolumes(t);
    assert.deepEqual(going(await plan(byPolicy({ last: 1 }))), { vault: days(3), work: days(1, 3, 4) });
    assert.deepEqual(going(await plan(byPolicy({ last: 3 }))), { vault: [], work: days(1) });
    assert.deepEqual(going(await plan(byPolicy({ last: 3 }), 'work')), { work: days(1) }, 'whichever are pruned');
    await (await archive.stored()).protect(work.id, sessionOn(3), true);
    const plans = await plan(byPolicy({ last: 1 }));
    assert.deepEqual(reasons(plans, 'vault')[sessionOn(3)], ['protected'], 'what another volume’s protection is for');
  });

  it('keeps the sessions of a tag; of a tag that none has, nothing is planned at all', async (t) => {
    const { plan } = await twoVolumes(t);
    assert.deepEqual(going(await plan(byPolicy({ last: 1, tags: ['release'] }))).work, days(3, 4));
    await assert.rejects(plan(byPolicy({ last: 1, tags: ['relaese'] })), fault('usage'));
  });

  it('A1 keeps a session that nothing proves, and in its place the one before, which can be restored', async (t) => {
    const { archive, work, plan } = await twoVolumes(t);
    archive.lies = (honest) => ({
      *heads(volume, asked) {
        for (const head of honest.heads(volume, asked)) {
          yield volume === work.id && head.session === sessionOn(4) ? { ...head, data: new Uint8Array(100) } : head;
        }
      },
    });
    const plans = await plan(byPolicy({ last: 2 }), 'work');
    assert.deepEqual(reasons(plans, 'work')[sessionOn(4)], ['unproven']);
    assert.deepEqual(reasons(plans, 'work')[sessionOn(3)], ['last'], 'for the fourth day');
    assert.deepEqual(going(plans), { work: days(1) });
  });

  it('goes by when a session was made, not by its name: a clock that was wrong once costs nothing', async (t) => {
    const archive = await ArchiveInMemory.make(t);
    await archive.commit('work', [1, 2]);
    await archive.commit('work', [800]);
    const work = await archive.commit('work', [801, 802, 803], { time: timeOn(3) });
    await archive.list(work);
    const { plans } = await planPrune(await archive.open(), [], byPolicy({ daily: 3 }));
    const stays = reasons(plans, 'work');
    for (const day of [1, 2, 800]) assert.deepEqual(stays[sessionOn(day)], ['daily'], `day ${day}`);
    assert.deepEqual(goingOf(plans[0]!), days(801, 802));
    assert.equal(plans[0]?.sessions.at(-1)?.time, timeOn(3));
  });
});

describe('a volume whose newest session cannot be had', () => {
  const faults = {
    'A7 is withheld': (archive: ArchiveInMemory) => {
      archive.lies = (honest) => ({
        volumes: () =>
          [...honest.volumes()].map((each) => ({
            ...each,
            sessions: each.sessions.filter(({ session }) => session !== sessionOn(5)),
          })),
      });
      return 'rollback';
    },
    'A1 is damaged': (archive: ArchiveInMemory) => {
      archive.lies = (honest) => ({
        *heads(volume, asked) {
          for (const head of honest.heads(volume, asked)) {
            yield head.session === sessionOn(5) ? { ...head, data: new Uint8Array(100) } : head;
          }
        },
      });
      return 'integrity';
    },
  };
  for (const [title, plant] of Object.entries(faults)) {
    for (const choice of [range(1, 3), byPolicy({ last: 1 })]) {
      it(`${title}: loses nothing, by ${choice.kind}; the others are pruned all the same`, async (t) => {
        const { archive, plan } = await twoVolumes(t);
        const code = plant(archive);
        const plans = await plan(choice);
        assert.deepEqual(going(plans), { work: [], vault: days(3) });
        const work = plans.find(({ name }) => name === 'work')!;
        assert.equal(work.fault?.code, code);
        assert.ok(work.sessions.some((each) => each.reasons.includes('damaged')));
        assert.equal(plans.find(({ name }) => name === 'vault')?.fault, undefined);
      });
    }
  }
});

describe('what no plan touches', () => {
  it('sessions that the catalogue does not list yet, and volumes that were deleted or never listed', async (t) => {
    const { archive, work, vault } = await twoVolumes(t);
    const gone = await archive.commit('gone', [1, 2]);
    await archive.list(work, vault, { ...gone, state: 'deleted', session: null, head: null });
    await archive.commit('work', [6, 7]);
    await archive.commit('new', [1, 2]);
    const { plans, stored } = await planPrune(await archive.open(), [], range(1, 9));
    assert.deepEqual(going(plans), { work: days(1, 3, 4), vault: days(3) });
    assert.deepEqual(stored.names(work.id), days(1, 2, 3, 4, 5, 6, 7), 'though they are there');
    assert.ok(stored.has(volumeId('new')) && stored.has(gone.id));
  });
});

it('more than half of a volume’s sessions at once is told apart, for somebody to say yes to', async (t) => {
  const { plan } = await twoVolumes(t);
  const most = async (choice: PruneChoice) =>
    Object.fromEntries((await plan(choice)).map((each) => [each.name, removesMost(each)]));
  assert.deepEqual(await most(range(1, 3)), { work: false, vault: false }, 'two of five, one of two');
  assert.deepEqual(await most(range(1, 4)), { work: true, vault: false });
});
