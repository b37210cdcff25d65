import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pruneAll, pruneWhileLow } from '../../../vm-receiver/retention/carry-out.ts';
import { planPrune } from '../../../vm-receiver/retention/policy-plan.ts';
import { MemoryStore } from '../../fixtures/memory-store/memory-store.ts';
import type { ArchiveStore, Store } from '../../../vm-receiver/store/store.ts';
import {
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  commitSession,
  impatient,
  newArchive,
  refusedAs,
  sessionName,
  visible,
} from '../store/small-volumes.ts';

/** Two volumes of six sessions; each writes the same 1000 bytes again. */
async function sixOfTwo(): Promise<{ archive: ArchiveStore; asked: string[] }> {
  const store: Store = new MemoryStore();
  await store.create(newArchive(), impatient);
  const archive = await store.open(LAPTOP, impatient);
  for (const volume of [VOLUME, OTHER_VOLUME]) {
    for (let session = 1; session <= 6; session++) {
      const steps = [{ chunk: 0, data: String(session).repeat(1000) }];
      await commitSession(archive, { volume, base: session === 1 ? null : session - 1, session, size: 10, steps });
    }
  }
  const asked: string[] = [];
  const prune = archive.prune.bind(archive);
  archive.prune = async (volume, session) => {
    asked.push(`${volume === VOLUME ? 'a' : 'b'}${session.slice(-1)}`);
    return await prune(volume, session);
  };
  return { archive, asked };
}

test('all that the policy lets go goes, the newest first, and one more is not asked for', async () => {
  const { archive, asked } = await sixOfTwo();
  const { pruned, refusals } = await pruneAll(archive, planPrune(archive, { last: 2 }), true);
  assert.deepEqual(asked, ['a4', 'a3', 'a2', 'a1', 'b4', 'b3', 'b2', 'b1']);
  assert.equal(refusals.size, 0);
  assert.equal(
    pruned.reduce((sum, { bytes }) => sum + bytes, 0),
    8 * (1000 + 'head 1index 1'.length),
  );
  assert.deepEqual(visible(archive), [sessionName(5), sessionName(6)]);
});

test('where the disk runs low the oldest go, of all volumes alike, until it does not', async () => {
  const { archive, asked } = await sixOfTwo();
  const plans = planPrune(archive, { last: 2 });
  let freeBytes = 7000;
  const prune = archive.prune.bind(archive);
  archive.prune = async (...ask) => {
    const bytes = await prune(...ask);
    freeBytes += bytes ?? 0;
    return bytes;
  };
  archive.space = () => ({ totalBytes: 100_000, freeBytes, freeInodes: undefined });
  await pruneWhileLow(archive, plans, { percent: 7 }, true);
  assert.deepEqual(asked, [], 'it did not run low');
  await pruneWhileLow(archive, plans, { percent: 10 }, true);
  assert.deepEqual(asked, ['a1', 'b1', 'a2']);
  await pruneWhileLow(archive, plans, { bytes: 10 ** 9 }, true);
  assert.deepEqual(
    asked.slice(3).filter((each) => /[56]/.test(each)),
    [],
    'never more than the policy lets go',
  );
  assert.deepEqual(visible(archive), [sessionName(5), sessionName(6)]);
});

test('a file system that is late in counting what became free does not cost more sessions', async () => {
  const { archive, asked } = await sixOfTwo();
  archive.space = () => ({ totalBytes: 100_000, freeBytes: 7000, freeInodes: undefined });
  await pruneWhileLow(archive, planPrune(archive, { last: 1 }), { percent: 9 }, true);
  assert.deepEqual(asked, ['a1', 'b1']);
});

test('what one volume refuses is told, and the others go on', async () => {
  const { archive, asked } = await sixOfTwo();
  const plans = planPrune(archive, { last: 4 });
  await archive.protect(VOLUME, sessionName(2), true);
  const { pruned, refusals } = await pruneAll(archive, plans, false);
  assert.deepEqual(asked, ['a2', 'b2', 'b1']);
  assert.equal(pruned.length, 2);
  assert.ok(refusedAs('refused')(refusals.get(VOLUME)));
});

test('without a yes a volume of which more than half would go is left as it is; while the disk is low the oldest half goes', async () => {
  const { archive, asked } = await sixOfTwo();
  await archive.prune(OTHER_VOLUME, sessionName(2));
  await archive.prune(OTHER_VOLUME, sessionName(3));
  asked.length = 0;
  const plans = planPrune(archive, { last: 2 });
  const { pruned, refusals } = await pruneAll(archive, plans, false);
  assert.deepEqual(asked, ['b4', 'b1'], 'two of four');
  assert.equal(pruned.length, 2);
  assert.match(refusals.get(VOLUME)?.message ?? '', /would remove 4 of its 6 sessions at once/);
  archive.space = () => ({ totalBytes: 100_000, freeBytes: 0, freeInodes: undefined });
  const low = await pruneWhileLow(archive, planPrune(archive, { last: 2 }), { bytes: 10 ** 9 }, false);
  assert.deepEqual(asked.slice(2), ['a1', 'a2', 'a3']);
  assert.ok(refusedAs('refused')(low.refusals.get(VOLUME)));
});

test('each volume is judged by when its sessions were committed, whatever their names say', async () => {
  const { archive } = await sixOfTwo();
  const volumes = archive.volumes.bind(archive);
  const day = 86_400_000;
  archive.volumes = () =>
    [...volumes()].map((volume) => ({
      ...volume,
      // The third was committed with a clock in the future.
      sessions: volume.sessions.map((each, at) => ({ ...each, committed: at === 2 ? 4e12 : 1.8e12 + at * day })),
    }));
  const [plan] = planPrune(archive, { daily: 5 });
  assert.ok(plan!.verdicts.every(({ reasons }) => reasons.includes('daily')));
  archive.volumes = volumes;
  assert.deepEqual(
    planPrune(archive, { daily: 5 })[0]!.verdicts.map(({ reasons }) => reasons.length),
    [0, 0, 0, 0, 0, 2],
    'all of one day',
  );
});
