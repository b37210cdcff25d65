// What every store must keep of key slots and catalogues that were replaced or removed, and how it comes back.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { MAX_SLOTS } from '../../../shared/wire/limits.ts';
import type { ArchiveStore, KeptVersion } from '../../../vm-receiver/store/store.ts';
import type { WithStore } from './conformance.ts';
import { LAPTOP, catalogueOf, impatient, newArchive, refusedAs, saidBy, slotOf } from './small-volumes.ts';

const hash = (data: Uint8Array) => createHash('sha512-256').update(data).digest();
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** What it is of, its number and its standing. */
function shown({ slot, number, standing }: KeptVersion): string {
  return `${slot ?? 'catalogue'} ${number} ${standing}`;
}

function slotsOf(archive: ArchiveStore): Record<string, string | undefined> {
  return Object.fromEntries([...archive.slots()].map(({ name, data }) => [name, saidBy(data)]));
}

export function keptConformance(name: string, withStore: WithStore): void {
  const withArchive = (use: (archive: ArchiveStore) => Promise<void>) =>
    withStore(async (store) => {
      await store.create(newArchive(), impatient);
      const archive = await store.open(LAPTOP, impatient);
      await use(archive);
      await archive.close();
    });

  describe(`${name}: what is kept`, () => {
    test('what an archive is made with, and all that is put later', () =>
      withArchive(async (archive) => {
        assert.deepEqual(archive.kept().map(shown), ['catalogue 1 current', 'passphrase 2 current']);
        const before = Date.now();
        const [one, two] = [catalogueOf('catalogue 1'), catalogueOf('catalogue 2')];
        await archive.putCatalogue(hash(one), two);
        await archive.putCatalogue(hash(one), two);
        await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
        await archive.putSlot({ name: 'recovery', data: slotOf('r') });
        await archive.putSlot({ name: 'recovery', data: slotOf('r') });
        await archive.dropSlot('recovery');
        await archive.dropSlot('recovery');
        await archive.dropSlot('never');
        const versions = archive.kept();
        assert.deepEqual(versions.map(shown), [
          'catalogue 1 replaced',
          'catalogue 3 current',
          'passphrase 2 replaced',
          'passphrase 4 current',
          'recovery 5 removed',
        ]);
        const current = versions[1]!;
        assert.deepEqual([current.sha256, current.bytes], [sha256(two), two.length]);
        assert.ok(current.time >= before - 1000 && current.time <= Date.now());
        assert.deepEqual(
          versions.map(({ until }) => until !== undefined),
          [false, false, true, false, true],
        );
      }));

    test('a catalogue is put back as if it came anew', () =>
      withArchive(async (archive) => {
        const [one, two] = [catalogueOf('catalogue 1'), catalogueOf('catalogue 2')];
        await archive.putCatalogue(hash(one), two);
        assert.equal((await archive.putBack(1)).number, 1);
        assert.equal(saidBy(archive.catalogue()), 'catalogue 1');
        assert.deepEqual(archive.kept().map(shown).slice(0, 3), [
          'catalogue 1 replaced',
          'catalogue 3 replaced',
          'catalogue 4 current',
        ]);
        await archive.putCatalogue(hash(one), two);
        assert.equal(saidBy(archive.catalogue()), 'catalogue 2');
      }));

    test('a slot is put back over another, and where it was removed', () =>
      withArchive(async (archive) => {
        await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
        await archive.putSlot({ name: 'recovery', data: slotOf('r') });
        await archive.dropSlot('recovery');
        assert.deepEqual(slotsOf(archive), { passphrase: 'other' });
        await archive.putBack(2);
        await archive.putBack(4);
        assert.deepEqual(slotsOf(archive), { passphrase: 'a slot', recovery: 'r' });
        // What was replaced by that can be put back, too.
        await archive.putBack(3);
        assert.deepEqual(slotsOf(archive), { passphrase: 'other', recovery: 'r' });
      }));

    test('no slot comes back above the most that an archive has', () =>
      withArchive(async (archive) => {
        await archive.putSlot({ name: 'gone', data: slotOf('gone') });
        await archive.dropSlot('gone');
        for (let slot = 1; slot < MAX_SLOTS; slot++) await archive.putSlot({ name: `s${slot}`, data: slotOf('s') });
        await assert.rejects(archive.putBack(3), refusedAs('refused'));
        await archive.dropSlot('s1');
        await archive.putBack(3);
        assert.equal(slotsOf(archive).gone, 'gone');
      }));

    test('what is not kept is not found, and what was replaced can be forgotten', () =>
      withArchive(async (archive) => {
        await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
        await archive.dropSlot('passphrase');
        for (const number of [0, 4, 99]) await assert.rejects(archive.putBack(number), refusedAs('not-found'));
        await assert.rejects(archive.forget(99), refusedAs('not-found'));
        await assert.rejects(archive.forget(1), refusedAs('refused'));
        await archive.forget(2);
        assert.deepEqual(archive.kept().map(shown), ['catalogue 1 current', 'passphrase 3 removed']);
        await assert.rejects(archive.putBack(2), refusedAs('not-found'));
        await archive.forget(3);
        assert.deepEqual(archive.kept().map(shown), ['catalogue 1 current']);
        await archive.putSlot({ name: 'passphrase', data: slotOf('anew') });
        assert.deepEqual(archive.kept().map(shown), ['catalogue 1 current', 'passphrase 5 current']);
      }));
  });
}
