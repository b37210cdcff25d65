import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planPrune, type PruneChoice } from '../../../dom0-agent/maintain/prune-plan.ts';
import {
  pruneArchive,
  weigh,
  type PruneReport,
  type PruneRequest,
} from '../../../dom0-agent/maintain/prune-archive.ts';
import { parseLowSpace } from '../../../shared/archive/low-space.ts';
import type { SessionName } from '../../../shared/archive/names.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import { ArchiveInMemory, sessionOn, volumeId } from '../../fixtures/archive-in-memory.ts';
import { catalogued, heldSessions, tagged, writerOf } from './memory-writer.ts';

const days = (...numbers: readonly number[]) => numbers.map(sessionOn);
const range = (first: number, last: number): PruneChoice => {
  return { kind: 'sessions', first: sessionOn(first), last: sessionOn(last) };
};

/** Two volumes of four sessions each. */
async function twoVolumes(t: it.TestContext) {
  const archive = await ArchiveInMemory.make(t);
  const work = tagged(await archive.commit('work', [1, 2, 3, 4]), { [sessionOn(1)]: ['a'], [sessionOn(4)]: ['b'] });
  await archive.list(work, await archive.commit('vault', [1, 2, 3, 4]));
  const prune = async (request: Partial<PruneRequest> = {}, signal = new AbortController().signal) =>
    await pruneArchive(await writerOf(archive, { signal }), {
      ...{ names: [], choice: range(1, 2), mayRemoveMost: false },
      ...request,
    });
  const held = async () => {
    const { [volumeId('work')]: ofWork, [volumeId('vault')]: ofVault } = await heldSessions(archive);
    return { work: ofWork, vault: ofVault };
  };
  return { archive, prune, held };
}

/** By volume, what the report says is gone. */
function gone({ volumes }: PruneReport): Record<string, string[]> {
  return Object.fromEntries(
    volumes.map(({ name, sessions }) => [name, sessions.filter(({ pruned }) => pruned).map(({ session }) => session)]),
  );
}

/** Whether each volume's sessions went, and what the receiver was asked, in order. */
function asked(archive: ArchiveInMemory, answer?: (session: SessionName) => number | Refusal | undefined) {
  const log: string[] = [];
  archive.lies = (honest) => ({
    prune: async (volume, session) => {
      const { name } = [...(await catalogued(archive)).values()].find(({ id }) => id === volume)!;
      log.push(`${name} ${session}`);
      const found = answer?.(session);
      if (found instanceof Refusal) throw found;
      return found ?? (await honest.prune(volume, session));
    },
  });
  return log;
}

describe('pruneArchive', () => {
  it('does what the plan says, the newest first, and reports what went', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    const log = asked(archive);
    const { report, ended } = await prune();
    assert.deepEqual([gone(report), ended], [{ vault: days(1, 2), work: days(1, 2) }, undefined]);
    assert.ok(report.freedBytes > 0);
    assert.deepEqual(await held(), { work: days(3, 4), vault: days(3, 4) });
    assert.deepEqual(
      log,
      ['vault', 'work'].flatMap((name) => days(2, 1).map((session) => `${name} ${session}`)),
    );
  });

  it('forgets the tags of sessions that are gone, and no others', async (t) => {
    const { archive, prune } = await twoVolumes(t);
    await prune();
    assert.deepEqual((await catalogued(archive)).get('work')?.tags, { [sessionOn(4)]: ['b'] });
  });

  it('A7 keeps the tag that protects a session which the receiver does not show: it is missed for good', async (t) => {
    const { archive, prune } = await twoVolumes(t);
    const { work, vault } = Object.fromEntries(await catalogued(archive));
    await archive.list(tagged(work!, { [sessionOn(2)]: ['protected'] }), vault!);
    archive.lies = (honest) => ({
      volumes: () =>
        [...honest.volumes()].map((each) => ({
          ...each,
          sessions: each.sessions.filter(({ session }) => session !== sessionOn(2)),
        })),
    });
    await prune({ choice: range(1, 1) });
    const { tags } = (await catalogued(archive)).get('work')!;
    assert.deepEqual(tags, { [sessionOn(2)]: ['protected'], [sessionOn(4)]: ['b'] });
  });

  it('weighing tells the same, and changes nothing', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    const open = await archive.open();
    const { plans } = await planPrune(open, [], range(1, 2));
    const told = await weigh(open, plans);
    assert.deepEqual([told.dryRun, gone(told)], [true, { work: [], vault: [] }]);
    assert.deepEqual((await held()).work, days(1, 2, 3, 4));
    assert.equal((await prune()).report.freedBytes, told.freedBytes);
  });

  it('more than half of a volume needs somebody’s yes; without it nothing of that volume goes', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    await archive.commit('vault', [5]);
    await archive.list((await catalogued(archive)).get('work')!, { ...(await archive.commit('vault', [6])) });
    const { report } = await prune({ choice: range(1, 3) });
    assert.deepEqual(gone(report), { work: [], vault: days(1, 2, 3) });
    assert.match(report.volumes.find(({ name }) => name === 'work')?.error?.message ?? '', /3 of its 4 sessions/);
    assert.deepEqual((await held()).work, days(1, 2, 3, 4));
    await prune({ choice: range(1, 3), mayRemoveMost: true, names: ['work'] });
    assert.deepEqual((await held()).work, days(4));
  });

  it('what nobody said yes to stays: sessions that came to go since, and volumes found damaged', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    const { plans: agreed } = await planPrune(await archive.open(), [], range(1, 1));
    const { report } = await prune({ choice: range(1, 2), agreed, spared: new Set(['vault']) });
    assert.deepEqual(gone(report), { work: days(1) });
    assert.deepEqual(await held(), { work: days(2, 3, 4), vault: days(1, 2, 3, 4) });
  });

  it('a volume that the receiver refuses keeps no other from being pruned', async (t) => {
    const { archive, prune } = await twoVolumes(t);
    let refused = 0;
    asked(archive, () => (refused++ === 0 ? new Refusal('locked', 'a send is under way') : undefined));
    const { report, ended } = await prune();
    assert.equal(ended, undefined);
    assert.deepEqual(gone(report), { vault: [], work: days(1, 2) });
    assert.equal(report.volumes.find(({ name }) => name === 'vault')?.error?.code, 'locked');
  });

  it('G1 interrupted, it says what went until then, and leaves the tags to the next run', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    const stop = new AbortController();
    asked(archive, (session) => {
      if (session === sessionOn(1)) stop.abort();
      return undefined;
    });
    const { report, ended } = await prune({}, stop.signal);
    assert.equal(ended?.code, 'interrupted');
    assert.deepEqual(gone(report).vault?.at(-1), sessionOn(2));
    assert.deepEqual((await held()).work, days(1, 2, 3, 4));
    archive.lies = () => ({});
    await prune({ names: ['vault', 'work'] });
    assert.deepEqual((await catalogued(archive)).get('work')?.tags, { [sessionOn(4)]: ['b'] });
  });

  it('for space only as much goes as is short, the oldest of all volumes first, and at most half', async (t) => {
    const { archive, prune, held } = await twoVolumes(t);
    const low = parseLowSpace('10%');
    const total = 1000;
    let free = 97;
    const log = asked(archive, () => 2);
    const { prune: pruned } = archive.lies(await archive.stored());
    archive.lies = () => ({
      space: () => ({ totalBytes: total, freeBytes: free, freeInodes: undefined }),
      prune: async (volume, session) => {
        free += 2;
        return await pruned!(volume, session);
      },
    });
    await prune({ choice: range(1, 3), low });
    assert.deepEqual(log, [`vault ${sessionOn(1)}`, `work ${sessionOn(1)}`]);
    free = 0;
    log.length = 0;
    const { report } = await prune({ choice: range(1, 3), low });
    assert.equal(log.length, 4, 'two of four of each');
    for (const { error } of report.volumes) assert.equal(error?.code, 'failed');
    assert.deepEqual((await held()).work, days(1, 2, 3, 4), 'this receiver only says that it prunes');
  });
});
