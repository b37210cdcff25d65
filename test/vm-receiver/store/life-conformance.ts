// What every store must do when sessions and volumes are taken away, protected, or named.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ArchiveStore, Rules, Store } from '../../../vm-receiver/store/store.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  bytes,
  commitSession,
  countsOf,
  impatient,
  newArchive,
  pairingId,
  refusedAs,
  sessionName,
  stored,
  takeSteps,
  textOf,
  visible,
  planOf,
  range,
  zeros,
  type SessionPlan,
} from './small-volumes.ts';

/** `use` gets an empty store with these rules, which is gone when it is done. */
export type WithStore = (use: (store: Store) => Promise<void>, rules?: Rules) => Promise<void>;

const began = Date.now();

/** Three sessions: data that stays, data that is written again, data that becomes zeros, a range of the first alone. */
const PLANS: readonly SessionPlan[] = [
  planOf(1, 4000, range('a', 0, 1, 2), range('a', 1500), range('a', 3999)),
  planOf(2, 4000, range('b', 1, zeros(2))),
  planOf(3, 4000, range('c', 3)),
];
const LOOKED = [0, 1, 2, 3, 1500, 3999];
const CONTENT: Record<number, readonly (string | undefined)[]> = {
  1: ['a0', 'a1', 'a2', undefined, 'a1500', 'a3999'],
  2: ['a0', 'b1', '', undefined, 'a1500', 'a3999'],
  3: ['a0', 'b1', '', 'c3', 'a1500', 'a3999'],
};
const PAGES: Record<number, readonly (string | undefined)[]> = {
  1: ['page a0', 'page a1', undefined, 'page a3'],
  2: ['page b0', 'page a1', undefined, 'page a3'],
  3: ['page c0', 'page a1', undefined, 'page a3'],
};

/** What is there of the sessions above, zeros and nothing being the same. */
async function read(archive: ArchiveStore): Promise<void> {
  for (const name of visible(archive)) {
    const session = Number(name.slice(-2));
    const found: (string | undefined)[] = [];
    for (const chunk of LOOKED) found.push((await stored(archive, session, chunk)) ?? '');
    assert.deepEqual(
      found,
      CONTENT[session]?.map((each) => each ?? ''),
      `I4: chunks of session ${session}`,
    );
    const pages: (string | undefined)[] = [];
    for (let range = 0; range < 4; range++) pages.push(textOf(await archive.page(VOLUME, sessionName(session), range)));
    assert.deepEqual(pages, PAGES[session], `I4: pages of session ${session}`);
    assert.equal(textOf(await archive.index(VOLUME, sessionName(session))), `index ${session}`);
  }
}

export function lifeConformance(name: string, withStore: WithStore): void {
  const withArchive = (use: (archive: ArchiveStore, store: Store) => Promise<void>, rules?: Rules) =>
    withStore(async (store) => {
      await store.create(newArchive(), impatient);
      const archive = await store.open(LAPTOP, impatient);
      await use(archive, store);
      await archive.close();
    }, rules);
  const withThree = (use: (archive: ArchiveStore, store: Store) => Promise<void>, rules?: Rules) =>
    withArchive(async (archive, store) => {
      for (const plan of PLANS) await commitSession(archive, plan);
      await use(archive, store);
    }, rules);

  describe(`${name}: pruning`, () => {
    test('I4: whichever sessions go, in whatever order, those that stay read as before', async () => {
      for (const order of [[1], [2], [1, 2], [2, 1]]) {
        await withThree(async (archive) => {
          for (const session of order) {
            const told = await archive.freed(VOLUME, [sessionName(session)]);
            assert.equal(await archive.prune(VOLUME, sessionName(session)), told, `told of ${order.join()}`);
            await read(archive);
          }
          assert.deepEqual(visible(archive), [1, 2, 3].filter((each) => !order.includes(each)).map(sessionName));
        });
      }
    });

    test('what is told to be freed of several is what is freed', () =>
      withThree(async (archive) => {
        const asked = [sessionName(1), sessionName(2)];
        const told = await archive.freed(VOLUME, asked);
        // Both heads and indexes, the two chunks that were written again, the two pages of the first range.
        assert.equal(told, 'head 1index 1head 2index 2a1a2page a0page b0'.length);
        const committed = [...archive.volumes()][0]?.sessions[2]?.committed;
        let freed = 0;
        for (const session of asked) freed += (await archive.prune(VOLUME, session)) ?? 0;
        assert.equal(freed, told);
        assert.equal(
          [...archive.volumes()][0]?.sessions[0]?.committed,
          committed,
          'its own, not that of what went over',
        );
        assert.deepEqual(countsOf(archive, began), [
          {
            session: sessionName(3),
            sizeBytes: 4000 * CHUNK,
            // Zeros hide nothing any more where nothing is older.
            files: 5,
            zeros: 0,
            storedBytes: 'a0b1c3a1500a3999page c0page a1page a3head 3index 3'.length,
            protected: false,
          },
        ]);
      }));

    test('zeros go when nothing is left that they would hide, and not before', () =>
      withThree(async (archive) => {
        await archive.prune(VOLUME, sessionName(2));
        assert.equal(await stored(archive, 3, 2), '', 'the first session has data there');
        await commitSession(archive, planOf(4, 4000));
        await archive.prune(VOLUME, sessionName(1));
        await archive.prune(VOLUME, sessionName(3));
        assert.equal(await stored(archive, 4, 2), undefined);
        assert.equal(await stored(archive, 4, 3), 'c3');
      }));

    test('what lies past the end of the successor goes, and does not come back when the volume grows', () =>
      withThree(async (archive) => {
        await commitSession(archive, planOf(4, 1501, [{ page: 1, data: 'page d1' }]));
        await commitSession(archive, planOf(5, 4000, [{ zeros: 1501, count: 2499 }]));
        for (const session of [1, 2, 3]) await archive.prune(VOLUME, sessionName(session));
        assert.equal(await stored(archive, 4, 1500), 'a1500');
        assert.equal(await stored(archive, 4, 3999), undefined);
        assert.equal(await stored(archive, 5, 3999), '');
        assert.equal(await stored(archive, 5, 0), 'a0');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(4), 3)), undefined);
        assert.equal(textOf(await archive.page(VOLUME, sessionName(4), 1)), 'page d1');
        await archive.prune(VOLUME, sessionName(4));
        assert.equal((await stored(archive, 5, 3999)) ?? '', '');
        assert.equal(await stored(archive, 5, 1500), 'a1500');
      }));

    test('a session or volume that is not there', () =>
      withThree(async (archive) => {
        assert.equal(await archive.prune(VOLUME, sessionName(9)), undefined);
        assert.equal(await archive.prune(OTHER_VOLUME, sessionName(1)), undefined);
        assert.equal(await archive.freed(OTHER_VOLUME, [sessionName(1)]), undefined);
        assert.equal(await archive.freed(VOLUME, [sessionName(9)]), 0);
        await archive.prune(VOLUME, sessionName(1));
        assert.equal(await archive.prune(VOLUME, sessionName(1)), undefined, 'again');
        await read(archive);
      }));

    test('the newest session never goes, nor do those that the rules keep', async () => {
      await withThree(async (archive) => {
        await assert.rejects(archive.prune(VOLUME, sessionName(3)), refusedAs('refused'));
        await assert.rejects(archive.freed(VOLUME, [sessionName(3)]), refusedAs('refused'));
        await archive.prune(VOLUME, sessionName(2));
      });
      await withThree(
        async (archive) => {
          assert.deepEqual(archive.rules, { minKeep: 2, allowDelete: true });
          await assert.rejects(archive.prune(VOLUME, sessionName(2)), refusedAs('refused'));
          await assert.rejects(archive.freed(VOLUME, [sessionName(1), sessionName(2)]), refusedAs('refused'));
          await archive.prune(VOLUME, sessionName(1));
          assert.deepEqual(visible(archive), [sessionName(2), sessionName(3)]);
        },
        { minKeep: 2, allowDelete: true },
      );
      // There is no asking for none to be kept.
      await withThree(async (archive) => assert.rejects(archive.prune(VOLUME, sessionName(3)), refusedAs('refused')), {
        minKeep: 0,
        allowDelete: true,
      });
    });

    test('S13: a name is not used twice, pruned or not', () =>
      withThree(async (archive) => {
        await archive.prune(VOLUME, sessionName(2));
        for (const session of [2, 3]) {
          const late = { base: 3, session, size: 4000, steps: [], pairing: 9 };
          await assert.rejects(beginSession(archive, late), refusedAs('bad-request'));
        }
      }));

    test('S15: a send that is under way over sessions that go', () =>
      withThree(async (archive, store) => {
        const send = await beginSession(archive, planOf(4, 4000));
        await takeSteps(send, [{ chunk: 0, data: 'd0' }]);
        const second = await store.open(LAPTOP, impatient);
        await second.prune(VOLUME, sessionName(1));
        await second.prune(VOLUME, sessionName(2));
        await second.close();
        await takeSteps(send, [{ zeros: 1, count: 3999 }]);
        await send.commit(bytes('head 4'), []);
        assert.deepEqual(visible(archive), [sessionName(3), sessionName(4)]);
        assert.equal(await stored(archive, 3, 1500), 'a1500');
        assert.deepEqual(await Promise.all(LOOKED.map((chunk) => stored(archive, 4, chunk))), [
          'd0',
          '',
          undefined,
          '',
          '',
          '',
        ]);
      }));
  });

  describe(`${name}: protecting, naming, deleting`, () => {
    test('a protected session stays until it is not protected any more', () =>
      withThree(async (archive) => {
        assert.ok(await archive.protect(VOLUME, sessionName(1), true));
        assert.ok(await archive.protect(VOLUME, sessionName(1), true), 'again');
        assert.deepEqual(
          [...archive.volumes()].flatMap(({ sessions }) => sessions.map((each) => each.protected)),
          [true, false, false],
        );
        await assert.rejects(archive.prune(VOLUME, sessionName(1)), refusedAs('refused'));
        await assert.rejects(archive.freed(VOLUME, [sessionName(1)]), refusedAs('refused'));
        await assert.rejects(archive.delete(VOLUME), refusedAs('refused'));
        await archive.prune(VOLUME, sessionName(2));
        assert.ok(await archive.protect(VOLUME, sessionName(1), false));
        assert.ok(await archive.protect(VOLUME, sessionName(1), false), 'again');
        await archive.prune(VOLUME, sessionName(1));
        assert.equal(await archive.protect(VOLUME, sessionName(1), true), false);
        assert.equal(await archive.protect(OTHER_VOLUME, sessionName(1), true), false);
        await read(archive);
      }));

    test('a volume goes with all that it has, and others stay', () =>
      withThree(async (archive) => {
        await commitSession(archive, { ...PLANS[0]!, volume: OTHER_VOLUME });
        const send = await beginSession(archive, planOf(4, 4000));
        await send.checkpoint(0);
        await send.abandon(true);
        const all = [...archive.volumes()][0]!.sessions.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
        assert.equal(await archive.delete(VOLUME), all);
        assert.equal(await archive.delete(VOLUME), 0, 'again');
        assert.deepEqual(
          [...archive.volumes()].map(({ volume }) => volume),
          [OTHER_VOLUME],
        );
        assert.equal(await stored(archive, 1, 0, OTHER_VOLUME), 'a0');
        assert.deepEqual(await archive.resolve(VOLUME, pairingId(4), true), {
          newest: undefined,
          checkpoint: undefined,
        });
        assert.equal(await archive.damage(VOLUME), undefined);
      }));

    test('a volume is not deleted where the rules forbid it, nor under a send', async () => {
      await withThree(
        async (archive) => {
          await assert.rejects(archive.delete(VOLUME), refusedAs('refused'));
          await read(archive);
          assert.equal(visible(archive).length, 3);
        },
        { minKeep: 1, allowDelete: false },
      );
      await withThree(async (archive, store) => {
        const send = await beginSession(archive, planOf(4, 4000));
        const second = await store.open(LAPTOP, impatient);
        await assert.rejects(second.delete(VOLUME), refusedAs('locked'));
        await send.commit(bytes('head 4'), [bytes('index 4')]);
        assert.equal(visible(second).length, 4);
        await second.close();
      });
    });

    test('only a plain archive’s volume has a name', () =>
      withStore(async (store) => {
        await store.create(newArchive({ encrypted: false }), impatient);
        const plain = await store.open(LAPTOP, impatient);
        await commitSession(plain, PLANS[0]!);
        assert.ok(await plain.rename(VOLUME, 'work/private.img'));
        assert.deepEqual(
          [...plain.volumes()].map((each) => each.name),
          ['work/private.img'],
        );
        assert.equal(await plain.rename(OTHER_VOLUME, 'x'), false);
        await plain.close();
        await store.create(newArchive({ name: 'second' as never, id: 'ff'.repeat(16) as never }), impatient);
        const encrypted = await store.open('second' as never, impatient);
        await assert.rejects(encrypted.rename(VOLUME, 'work'), refusedAs('bad-request'));
        await encrypted.close();
      }));

    test('the space is that of a disk', () =>
      withArchive(async (archive) => {
        const { totalBytes, freeBytes } = archive.space();
        assert.ok(totalBytes >= freeBytes && freeBytes > 0);
      }));
  });
}
