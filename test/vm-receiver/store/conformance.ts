// What every store must do, whatever it is made of. An implementation's test calls this with a way to make one.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { ArchiveId, ArchiveName, SessionName } from '../../../shared/archive/names.ts';
import type { ArchiveStore, Store } from '../../../vm-receiver/store/store.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  RANGE,
  VOLUME,
  beginSession,
  bytes,
  catalogueOf,
  commitSession,
  countsOf,
  impatient,
  newArchive,
  pairingId,
  refusedAs,
  saidBy,
  sessionName,
  slotOf,
  stored,
  takeSteps,
  text,
  textOf,
  visible,
  wholeOf,
  planOf,
  type SessionPlan,
} from './small-volumes.ts';

/** `use` gets an empty store, which is gone when it is done. */
export type WithStore = (use: (store: Store) => Promise<void>) => Promise<void>;

const hash = (data: Uint8Array) => createHash('sha512-256').update(data).digest();

const began = Date.now();
const first: SessionPlan = planOf(1, 3000, [
  { chunk: 0, data: 'zero' },
  { chunk: 5, data: 'five' },
  { page: 0, data: 'page 0' },
  { chunk: 2500, data: 'far' },
  { page: 2, data: 'page 2' },
]);

export function storeConformance(name: string, withStore: WithStore): void {
  const withArchive = (use: (archive: ArchiveStore, store: Store) => Promise<void>) =>
    withStore(async (store) => {
      await store.create(newArchive(), impatient);
      const archive = await store.open(LAPTOP, impatient);
      await use(archive, store);
      await archive.close();
    });

  describe(`${name}: archives`, () => {
    test('an archive is what it was created as', () =>
      withStore(async (store) => {
        assert.deepEqual(store.archives(), []);
        await store.create(newArchive({ chunkSize: 2 ** 20, encrypted: false, dedup: true }), impatient);
        assert.deepEqual(store.archives(), [LAPTOP]);
        const archive = await store.open(LAPTOP, impatient);
        assert.equal(archive.id, newArchive().id);
        assert.equal(archive.chunkSize, 2 ** 20);
        assert.equal(archive.encrypted, false);
        assert.equal(archive.dedup, true);
        assert.deepEqual(
          [...archive.slots()].map((slot) => [slot.name, saidBy(slot.data)]),
          [['passphrase', 'a slot']],
        );
        assert.equal(saidBy(archive.catalogue()), 'catalogue 1');
        assert.deepEqual([...archive.volumes()], []);
        await archive.close();
      }));

    test('I9: creating again with the same content succeeds, and with any other is refused', () =>
      withStore(async (store) => {
        await store.create(newArchive(), impatient);
        await store.create(newArchive(), impatient);
        const others = [
          newArchive({ id: 'ff'.repeat(16) as ArchiveId }),
          newArchive({ chunkSize: 2 ** 20 }),
          newArchive({ encrypted: false }),
          newArchive({ catalogue: catalogueOf('another') }),
          newArchive({ slots: [{ name: 'passphrase', data: slotOf('another') }] }),
          newArchive({ slots: [{ name: 'recovery', data: slotOf('a slot') }] }),
        ];
        for (const other of others) await assert.rejects(store.create(other, impatient), refusedAs('exists'));
        await store.create(newArchive({ name: 'second' as ArchiveName }), impatient);
        assert.deepEqual(store.archives(), [LAPTOP, 'second']);
      }));

    test('an archive that has moved on is not created again', () =>
      withArchive(async (archive, store) => {
        await archive.putCatalogue(hash(newArchive().catalogue), catalogueOf('x'.repeat(200_000)));
        await assert.rejects(store.create(newArchive(), impatient), refusedAs('exists'));
      }));

    test('an archive that is not there cannot be opened', () =>
      withStore(async (store) => {
        await assert.rejects(store.open(LAPTOP, impatient), refusedAs('not-found'));
      }));

    test('slots are put, replaced and dropped', () =>
      withArchive(async (archive) => {
        await archive.putSlot({ name: 'recovery', data: slotOf('r') });
        await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
        assert.deepEqual(
          [...archive.slots()].map((slot) => [slot.name, saidBy(slot.data)]),
          [
            ['passphrase', 'other'],
            ['recovery', 'r'],
          ],
        );
        await archive.dropSlot('passphrase');
        await archive.dropSlot('passphrase');
        assert.deepEqual(
          [...archive.slots()].map((slot) => slot.name),
          ['recovery'],
        );
      }));

    test('a catalogue replaces the one it names, itself again, and no other', () =>
      withArchive(async (archive) => {
        const one = catalogueOf('catalogue 1');
        const two = catalogueOf('2'.repeat(300_000));
        await archive.putCatalogue(hash(one), two);
        await archive.putCatalogue(hash(one), two);
        assert.equal(wholeOf(archive.catalogue()).compare(two), 0);
        await assert.rejects(archive.putCatalogue(hash(one), catalogueOf('three')), refusedAs('conflict'));
        assert.equal(wholeOf(archive.catalogue()).compare(two), 0);
        await archive.putCatalogue(hash(two), one);
        assert.equal(saidBy(archive.catalogue()), 'catalogue 1');
      }));
  });

  describe(`${name}: sessions`, () => {
    test('a committed session is there as it was sent', () =>
      withArchive(async (archive) => {
        await commitSession(archive, first);
        assert.equal(await stored(archive, 1, 0), 'zero');
        assert.equal(await stored(archive, 1, 5), 'five');
        assert.equal(await stored(archive, 1, 2500), 'far');
        assert.equal(await stored(archive, 1, 1), undefined);
        assert.equal(textOf(await archive.index(VOLUME, sessionName(1))), 'index 1');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(1), 0)), 'page 0');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(1), 1)), undefined);
        assert.equal(textOf(await archive.page(VOLUME, sessionName(1), 2)), 'page 2');
        const storedBytes = 'zerofivefarpage 0page 2index 1head 1'.length;
        assert.deepEqual(
          [...archive.volumes()].map(({ volume, name }) => ({ volume, name })),
          [{ volume: VOLUME, name: undefined }],
        );
        assert.deepEqual(countsOf(archive, began), [
          { session: sessionName(1), sizeBytes: 3000 * CHUNK, files: 3, zeros: 0, storedBytes, protected: false },
        ]);
      }));

    test('I4: a later session hides and keeps the earlier one', () =>
      withArchive(async (archive) => {
        await commitSession(archive, first);
        const steps = [
          { chunk: 5, data: 'new five' },
          { zeros: 6, count: 4000 - 6 },
          { page: 0, data: 'new page' },
        ];
        await commitSession(archive, planOf(2, 4000, steps));
        assert.equal(await stored(archive, 2, 0), 'zero');
        assert.equal(await stored(archive, 2, 5), 'new five');
        assert.equal(await stored(archive, 2, 2500), '');
        assert.equal(await stored(archive, 2, 2501), undefined);
        assert.equal(textOf(await archive.page(VOLUME, sessionName(2), 0)), 'new page');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(2), 2)), 'page 2');
        assert.equal(await stored(archive, 1, 5), 'five');
        assert.equal(await stored(archive, 1, 2500), 'far');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(1), 0)), 'page 0');
        assert.deepEqual(
          [...archive.heads(VOLUME, [])].map(({ session, data }) => [session, text(data)]),
          [
            [sessionName(1), 'head 1'],
            [sessionName(2), 'head 2'],
          ],
        );
        const asked = [...archive.heads(VOLUME, [sessionName(2), sessionName(3)])];
        assert.deepEqual(
          asked.map(({ session }) => session),
          [sessionName(2)],
        );
      }));

    test('zeros hide what lies past an end in between', () =>
      withArchive(async (archive) => {
        await commitSession(archive, first);
        await commitSession(archive, planOf(2, 100, [{ page: 0, data: 'p' }]));
        await commitSession(archive, planOf(3, 3000, [{ zeros: 100, count: 2900 }]));
        assert.equal(await stored(archive, 3, 2500), '');
        assert.equal(await stored(archive, 3, 5), 'five');
        assert.equal(await stored(archive, 3, 2600), undefined);
      }));

    test('a volume, session or page that is not there', () =>
      withArchive(async (archive) => {
        await commitSession(archive, first);
        for (const [volume, session] of [
          [OTHER_VOLUME, sessionName(1)],
          [VOLUME, sessionName(2)],
          [VOLUME, 'S_19991231-235959' as SessionName],
        ] as const) {
          assert.equal(await archive.index(volume, session), undefined);
          assert.equal(await archive.page(volume, session, 0), undefined);
          await assert.rejects(archive.chunk(volume, session, 0, new Uint8Array(9), 0), refusedAs('not-found'));
        }
        assert.deepEqual([...archive.heads(OTHER_VOLUME, [])], []);
        assert.deepEqual(await archive.resolve(OTHER_VOLUME, pairingId(1), true), {
          newest: undefined,
          checkpoint: undefined,
        });
      }));

    test('an empty index has no pieces', () =>
      withArchive(async (archive) => {
        const send = await beginSession(archive, { ...first, steps: [] });
        await send.commit(bytes('h'), []);
        assert.equal(textOf(await archive.index(VOLUME, sessionName(1))), '');
      }));
  });

  describe(`${name}: bases and names`, () => {
    test('the base must be the newest session', () =>
      withArchive(async (archive) => {
        await assert.rejects(beginSession(archive, { ...first, base: 0 }), refusedAs('stale-base'));
        await commitSession(archive, first);
        await assert.rejects(beginSession(archive, { ...first, session: 2 }), refusedAs('stale-base'));
        await commitSession(archive, planOf(2, 1));
        await assert.rejects(beginSession(archive, { ...first, base: 1, session: 3 }), refusedAs('stale-base'));
        assert.deepEqual(visible(archive), [sessionName(1), sessionName(2)]);
      }));

    test('S13: a name that is not above the newest is refused, whatever the clock said', () =>
      withArchive(async (archive) => {
        await commitSession(archive, { ...first, session: 5 });
        for (const session of [4, 5]) {
          await assert.rejects(beginSession(archive, { ...first, base: 5, session }), refusedAs('bad-request'));
        }
      }));

    test('S10: of two sends over one base the first to commit wins', () =>
      withArchive(async (archive, store) => {
        const slow = await beginSession(archive, first);
        await takeSteps(slow, first.steps);
        await slow.checkpoint(RANGE * 3);
        // The sender is thought dead and its lock is free; another one takes over, then the first goes on.
        await archive.close();
        const second = await store.open(LAPTOP, impatient);
        await commitSession(second, { ...first, pairing: 9, steps: [{ chunk: 1, data: 'one' }] });
        await assert.rejects(slow.commit(bytes('late'), []), (error) =>
          ['stale-base', 'conflict', 'io'].some((answer) => refusedAs(answer)(error)),
        );
        assert.deepEqual(
          [...second.heads(VOLUME, [])].map(({ data }) => text(data)),
          ['head 1'],
        );
        assert.equal(await stored(second, 1, 0), undefined);
        await second.close();
      }));
  });

  describe(`${name}: unfinished sends`, () => {
    test('I3: what is not committed is invisible, and gone when abandoned', () =>
      withArchive(async (archive) => {
        const send = await beginSession(archive, first);
        await takeSteps(send, first.steps);
        assert.deepEqual([...archive.volumes()], []);
        assert.deepEqual(visible(archive), []);
        await send.abandon(false);
        const { newest, checkpoint } = await archive.resolve(VOLUME, pairingId(1), true);
        assert.equal(newest, undefined);
        assert.equal(checkpoint, undefined);
        await commitSession(archive, first);
        assert.deepEqual(visible(archive), [sessionName(1)]);
      }));

    test('abandoning keeps only what has a checkpoint', () =>
      withArchive(async (archive) => {
        const send = await beginSession(archive, first);
        await send.abandon(true);
        await assert.rejects(beginSession(archive, { ...first, resume: true }), refusedAs('not-found'));
        const again = await beginSession(archive, first);
        await again.checkpoint(RANGE);
        await again.abandon(true);
        assert.equal((await archive.resolve(VOLUME, pairingId(1), true)).checkpoint, RANGE);
        assert.equal((await archive.resolve(VOLUME, pairingId(1), false)).checkpoint, undefined);
        await assert.rejects(beginSession(archive, { ...first, resume: true }), refusedAs('not-found'));
      }));

    test('a resumed send has what lay below the checkpoint, and nothing else from before', () =>
      withArchive(async (archive, store) => {
        const send = await beginSession(archive, first);
        await takeSteps(send, [
          { chunk: 0, data: 'zero' },
          { page: 0, data: 'page 0' },
          { checkpoint: 1 },
          { chunk: 1024, data: 'above' },
          { chunk: 2500, data: 'old' },
          { page: 2, data: 'old page' },
        ]);
        await archive.close();
        const later = await store.open(LAPTOP, impatient);
        assert.equal((await later.resolve(VOLUME, pairingId(1), true)).checkpoint, RANGE);
        const resumed = await beginSession(later, { ...first, resume: true });
        await takeSteps(resumed, [
          { chunk: 2500, data: 'new' },
          { page: 2, data: 'new page' },
        ]);
        await resumed.commit(bytes('head 1'), []);
        assert.equal(await stored(later, 1, 0), 'zero');
        assert.equal(await stored(later, 1, 1024), undefined);
        assert.equal(await stored(later, 1, 2500), 'new');
        assert.equal(textOf(await later.page(VOLUME, sessionName(1), 0)), 'page 0');
        assert.equal(textOf(await later.page(VOLUME, sessionName(1), 2)), 'new page');
        const storedBytes = 'zeropage 0newnew pagehead 1'.length;
        assert.deepEqual(countsOf(later, began), [
          { session: sessionName(1), sizeBytes: 3000 * CHUNK, files: 2, zeros: 0, storedBytes, protected: false },
        ]);
        await later.close();
      }));

    test('a send is resumed only as the one that it was', () =>
      withArchive(async (archive) => {
        const send = await beginSession(archive, first);
        await send.checkpoint(0);
        await send.abandon(true);
        for (const change of [{ size: 2999 }, { session: 2, pairing: 1 }]) {
          const other = { ...first, ...change, resume: true };
          await assert.rejects(beginSession(archive, other), refusedAs('bad-request'));
        }
        await (await beginSession(archive, { ...first, resume: true })).abandon(false);
      }));

    test('resolve removes every other unfinished send, and shows the newest session', () =>
      withArchive(async (archive) => {
        await commitSession(archive, first);
        const send = await beginSession(archive, { ...first, base: 1, session: 2 });
        await send.checkpoint(0);
        await send.abandon(true);
        const { newest, checkpoint } = await archive.resolve(VOLUME, pairingId(7), true);
        assert.equal(newest?.session, sessionName(1));
        assert.equal(text(newest.data), 'head 1');
        assert.equal(checkpoint, undefined);
        assert.equal((await archive.resolve(VOLUME, pairingId(2), true)).checkpoint, undefined);
      }));

    test('S10: a send under way is neither removed nor resumed by another', () =>
      withArchive(async (archive, store) => {
        const send = await beginSession(archive, first);
        await send.checkpoint(0);
        const second = await store.open(LAPTOP, impatient);
        await assert.rejects(second.resolve(VOLUME, pairingId(1), true), refusedAs('locked'));
        await assert.rejects(second.resolve(VOLUME, pairingId(2), false), refusedAs('locked'));
        await assert.rejects(beginSession(second, { ...first, pairing: 2 }), refusedAs('locked'));
        await second.close();
        await takeSteps(send, first.steps);
        await send.commit(bytes('head 1'), []);
        assert.equal(await stored(archive, 1, 5), 'five');
      }));
  });

  describe(`${name}: the order of a send`, () => {
    const refusals: Record<string, readonly Parameters<typeof takeSteps>[1][number][]> = {
      'the same address twice': [
        { chunk: 1, data: 'a' },
        { chunk: 1, data: 'b' },
      ],
      'an address below': [
        { chunk: 2, data: 'a' },
        { chunk: 1, data: 'b' },
      ],
      'a chunk within a run': [
        { zeros: 1, count: 5 },
        { chunk: 5, data: 'b' },
      ],
      'a run over a chunk': [
        { chunk: 3, data: 'b' },
        { zeros: 1, count: 5 },
      ],
      'a chunk between two': [{ chunk: 1.5, data: 'a' }],
      'a chunk past the end': [{ chunk: 3000, data: 'a' }],
      'a run past the end': [{ zeros: 2999, count: 2 }],
      'a page past the end': [{ page: 3, data: 'p' }],
      'a page twice': [
        { page: 1, data: 'p' },
        { page: 1, data: 'p' },
      ],
      'a page below': [
        { page: 1, data: 'p' },
        { page: 0, data: 'p' },
      ],
      'a chunk below a page': [
        { page: 1, data: 'p' },
        { chunk: 2047, data: 'b' },
      ],
      'a checkpoint between two ranges': [{ checkpoint: 0.5 }],
      'a checkpoint below': [{ checkpoint: 2 }, { checkpoint: 1 }],
      'a chunk below a checkpoint': [{ checkpoint: 1 }, { chunk: 1023, data: 'b' }],
      'a page below a checkpoint': [{ checkpoint: 1 }, { page: 0, data: 'b' }],
    };
    for (const [what, steps] of Object.entries(refusals)) {
      test(`${what} is refused`, () =>
        withArchive(async (archive) => {
          const send = await beginSession(archive, first);
          await takeSteps(send, steps.slice(0, -1));
          await assert.rejects(takeSteps(send, steps.slice(-1)), refusedAs('bad-request'));
          await send.abandon(false);
        }));
    }

    test('a page may follow a run that goes on into later ranges', () =>
      withArchive(async (archive) => {
        await commitSession(archive, {
          ...first,
          steps: [
            { chunk: 0, data: 'a' },
            { zeros: 1, count: 1500 },
            { page: 0, data: 'p0' },
            { chunk: 1501, data: 'b' },
            { page: 1, data: 'p1' },
            { checkpoint: 3 },
          ],
        });
        assert.equal(await stored(archive, 1, 1501), 'b');
      }));
  });
}
