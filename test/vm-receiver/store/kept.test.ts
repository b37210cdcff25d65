// What is kept of catalogues and key slots is bounded, goes only when it had its time, and is never what is in use.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Space } from '../../../vm-receiver/store/store.ts';
import { checksumOf } from '../../../vm-receiver/store/files/layout/checksums.ts';
import { expiredCatalogues, expiredSlots } from '../../../vm-receiver/store/files/kept/kept-expiry.ts';
import {
  formatKept,
  parseKept,
  type KeptFile,
  type KeptKind,
} from '../../../vm-receiver/store/files/kept/kept-name.ts';
import { MAX_KEPT_SLOTS } from '../../../vm-receiver/store/files/kept/objects.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore, Keeping } from '../../../vm-receiver/store/store.ts';
import { MemoryDisk } from './memory-disk.ts';
import { LAPTOP, bytes, catalogueOf, impatient, newArchive, refusedAs, saidBy, slotOf } from './small-volumes.ts';

const DAY = 86_400_000;
const KEEPING: Keeping = { catalogues: 3, days: 4, bytes: 2 ** 30 };
const SUM = checksumOf(bytes('x'));
const EMPTY = checksumOf(bytes(''));

function kept(kind: KeptKind, number: number, day: number, name = 'catalogue', sum = SUM): KeptFile {
  const named = { number, time: day * DAY + 3600_000, sum, name };
  return { ...named, kind, file: formatKept(named) };
}

const numbers = (files: readonly KeptFile[]) => files.map(({ number }) => number);

describe('when kept catalogues go', () => {
  const onDays = (...days: number[]) => days.map((day, index) => kept('catalogues', index + 1, day));
  const gone = (...days: number[]) => numbers(expiredCatalogues(onDays(...days), KEEPING));

  test('past both limits, and not before', () => {
    assert.deepEqual(gone(1, 1, 1), []);
    assert.deepEqual(gone(1, 1, 1, 1, 1, 1), [1, 2, 3], 'the newest three stay');
    assert.deepEqual(gone(1, 1, 2, 2, 3, 3, 4, 4), [1, 3, 5], 'and the last of each of four days');
    assert.deepEqual(gone(1, 2, 3, 4, 5, 6, 7), [1, 2, 3]);
    assert.deepEqual(gone(1, 2, 90, 90, 90, 90), [3], 'days without any do not count');
  });

  test('a hundred in one day push out no other day', () => {
    assert.deepEqual(gone(1, 2, 3, ...Array<number>(100).fill(4)).slice(0, 2), [4, 5]);
  });

  test('S13: a clock that was wrong once takes no day away but one', () => {
    assert.deepEqual(gone(1, 2, 3, 90_000, 4, 4, 4, 4), [1, 5]);
    assert.deepEqual(gone(3, 4, 5, 1, 6, 6, 6, 6), [4, 5]);
  });

  test('none where there is none', () => {
    assert.deepEqual(gone(), []);
    assert.deepEqual(numbers(expiredCatalogues(onDays(1, 2, 3), { catalogues: 1, days: 0, bytes: 0 })), [1, 2]);
  });
});

describe('when kept slots go', () => {
  const slots = [
    kept('keys', 1, 1, 'a'),
    kept('keys', 2, 1, 'b'),
    kept('keys', 3, 10, 'a'),
    kept('keys', 4, 20, 'b', EMPTY),
  ];
  const gone = (day: number) => numbers(expiredSlots(slots, KEEPING, day * DAY + 3600_000));

  test('so many days after they were replaced or removed', () => {
    assert.deepEqual(gone(13), []);
    assert.deepEqual(gone(14), [1]);
    assert.deepEqual(gone(23), [1]);
    assert.deepEqual(gone(24), [1, 2, 4], 'and the note of the removal with what it ended');
    assert.deepEqual(gone(90_000), [1, 2, 4], 'what is in use never');
  });

  test('S13: a clock that was ahead does not keep them for years', () => {
    const ahead = [kept('keys', 1, 1, 'a'), kept('keys', 2, 90_000, 'a', EMPTY), kept('keys', 3, 3, 'b')];
    assert.deepEqual(numbers(expiredSlots(ahead, KEEPING, 7 * DAY + 3600_000)), [1, 2]);
  });
});

test('names in kept/ say what they are of, and no other name does', () => {
  const named = { number: 17, time: Date.parse('2026-11-23T02:03:04Z'), sum: SUM, name: 'recovery-2' };
  const file = `00000017-20261123T020304Z-${SUM}-recovery-2`;
  assert.equal(formatKept(named), file);
  assert.deepEqual(parseKept('keys', file), { ...named, kind: 'keys', file });
  assert.equal(parseKept('keys', formatKept({ ...named, number: 123_456_789 }))?.number, 123_456_789);
  for (const other of [
    `${file}.new`,
    `x${file}`,
    file.toUpperCase(),
    file.replace('00000017', '17'),
    file.replace('00000017', '00000000'),
    file.replace('20261123', '20261323'),
    file.replace('020304', '250304'),
    file.replace('recovery-2', ''),
    'README',
  ]) {
    assert.equal(parseKept('keys', other), undefined, other);
  }
});

interface Scene {
  readonly disk: MemoryDisk;
  readonly archive: ArchiveStore;
  /** What the disk says that it has. */
  space: Space;
  /** Puts another catalogue over the one that is there. */
  readonly put: (said: string) => Promise<void>;
  readonly said: () => string[];
}

/** An archive, and the catalogues that are kept of it by what they say, newest last. */
async function scene(keeping: Partial<Keeping> = {}, floors = { freeBytes: 0, freeInodes: 0 }): Promise<Scene> {
  const disk = new MemoryDisk();
  let space: Space = { totalBytes: 2 ** 41, freeBytes: 2 ** 40, freeInodes: undefined };
  disk.space = () => space;
  const options = { root: '/', requireMount: false, floors, keeping: { ...KEEPING, ...keeping } };
  const store = new FilesStore(disk, options);
  await store.create(newArchive(), impatient);
  const archive = await store.open(LAPTOP, impatient);
  let last = catalogueOf('catalogue 1');
  return {
    disk,
    archive,
    get space() {
      return space;
    },
    set space(value) {
      space = value;
    },
    put: async (said) => {
      const next = catalogueOf(said);
      await archive.putCatalogue(createHash('sha512-256').update(last).digest(), next);
      last = next;
    },
    said: () => {
      const folder = `/${LAPTOP}/kept/catalogues`;
      const paths = disk
        .list(folder)
        .sort()
        .map((name) => `${folder}/${name}`);
      return paths.map((path) => saidBy(contentOf(disk, path)) ?? '-');
    },
  };
}

function contentOf(disk: MemoryDisk, path: string): Uint8Array {
  const fd = disk.open(path, 'read');
  const content = Buffer.alloc(disk.entryOf(fd).size);
  disk.read(fd, content, 0, content.length);
  disk.close(fd);
  return content;
}

describe('what is kept is bounded', () => {
  const MIB = 2 ** 20;
  const long = (said: string) => said.repeat(MIB);

  test('by count', async () => {
    const { put, said } = await scene();
    for (let number = 2; number < 20; number++) await put(`c${number}`);
    assert.deepEqual(said(), ['c17', 'c18', 'c19']);
  });

  test('by bytes: the oldest goes, the one in use never, and what does not fit has its checksum alone', async () => {
    const { put, said, archive } = await scene({ bytes: 2.5 * MIB, catalogues: 10 });
    await put(long('a'));
    await put(long('b'));
    assert.deepEqual(
      said().map((each) => each.slice(0, 2)),
      ['ca', 'aa', 'bb'],
    );
    await put(long('c'));
    assert.deepEqual(
      said().map((each) => each.slice(0, 2)),
      ['bb', 'cc'],
    );
    await put(long('dddd'));
    assert.equal(saidBy(archive.catalogue())?.length, 4 * MIB);
    assert.deepEqual(
      said().map((each) => each.slice(0, 2)),
      ['bb', 'cc', '-'],
      'the one before it stays',
    );
    const none = archive.kept().find(({ standing }) => standing === 'current')!;
    assert.deepEqual([none.bytes, none.sha256], [0, checksumOf(catalogueOf(long('dddd')))]);
    await assert.rejects(archive.putBack(none.number), refusedAs('refused'));
    await put('small');
    assert.deepEqual(
      said().map((each) => each.slice(0, 2)),
      ['bb', 'cc', '-', 'sm'],
    );
  });

  test('S1: a disk that is nearly full keeps no more than it had, and gives up the last of no day', async () => {
    const made = await scene({ catalogues: 10 }, { freeBytes: 64 * MIB, freeInodes: 0 });
    const { put, said, disk } = made;
    const early = formatKept({ number: 1, time: 0, sum: checksumOf(catalogueOf('catalogue 1')), name: 'catalogue' });
    const folder = `/${LAPTOP}/kept/catalogues`;
    disk.rename(`${folder}/${disk.list(folder)[0]!}`, `${folder}/${early}`);
    made.space = { ...made.space, freeBytes: 65 * MIB };
    for (const each of ['a', 'b', 'c', 'd']) await put(long(each));
    assert.deepEqual(
      said().map((each) => each.slice(0, 2)),
      ['ca', '-', '-', '-', '-'],
      'a file of another day stays',
    );
    await put('small');
    assert.equal(said().at(-1), 'small');
    made.space = { ...made.space, freeBytes: 2 ** 40 };
    await put(long('e'));
    assert.equal(said().at(-1)?.slice(0, 2), 'ee');
  });

  test('slots by their number: then none is put or removed, and none of those that are kept is lost', async () => {
    const { archive } = await scene();
    for (let number = 3; number <= MAX_KEPT_SLOTS; number++) {
      await archive.putSlot({ name: 'passphrase', data: slotOf(String(number)) });
    }
    await archive.dropSlot('passphrase');
    await assert.rejects(archive.putSlot({ name: 'more', data: slotOf('x') }), refusedAs('refused'));
    await assert.rejects(archive.dropSlot('more'), refusedAs('refused'));
    const slots = archive.kept().filter(({ slot }) => slot !== undefined);
    assert.equal(slots.length, MAX_KEPT_SLOTS - 1);
    await archive.forget(slots[0]!.number);
    await archive.putSlot({ name: 'more', data: slotOf('x') });
  });
});
