import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeMap } from '../../../shared/wire/msgpack.ts';
import { OBJECT_TYPE, catalogueAad, headAad } from '../../../dom0-agent/content/aad.ts';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import { objectHash, pageHash } from '../../../dom0-agent/content/hash.ts';
import { workingKeys } from '../../../dom0-agent/content/keys.ts';
import { entryAt, isZeroEntry, newEntries, setEntry } from '../../../dom0-agent/content/entries.ts';
import { seal } from '../../../dom0-agent/content/sealed.ts';
import { Xaes256Gcm } from '../../../dom0-agent/content/xaes.ts';
import {
  CHUNK_SIZE,
  ENTRIES,
  HASHES,
  OTHER_ARCHIVE,
  OTHER_SESSION,
  OTHER_VOLUME,
  SESSION,
  VOLUME,
  catalogueOf,
  fault,
  headOf,
  recordOf,
} from './objects.ts';

const integrity = fault('integrity');
const byte = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(255));

for (const encrypted of [true, false]) {
  describe(`nodes (${encrypted ? 'encrypted' : 'plain'})`, () => {
    const record = recordOf({ encrypted });
    const content = new ArchiveContent(record);

    it('a page opens to the entries that were sealed', () => {
      const counts = fc.constantFrom(1, 2, 1023, 1024);
      fc.assert(
        fc.property(
          counts,
          fc.nat(2 ** 20),
          fc.array(byte, { minLength: 1, maxLength: 64 }),
          (count, range, pattern) => {
            const entries = newEntries(count).map((_, index) => pattern[index % pattern.length] ?? 0);
            const { hash, stored } = content.sealPage(VOLUME, range, entries);
            assert.equal(
              stored === undefined,
              entries.every((each) => each === 0),
            );
            assert.deepEqual(content.openPage(VOLUME, range, count, hash, stored), entries);
          },
        ),
        { numRuns: 50 },
      );
    });

    it('an all-zero page has the zero hash, is not stored, and is zeros whatever the receiver says', () => {
      const { hash, stored } = content.sealPage(VOLUME, 0, newEntries(5));
      assert.deepEqual(hash, new Uint8Array(32));
      assert.equal(stored, undefined);
      assert.deepEqual(content.openPage(VOLUME, 0, 5, hash, Buffer.from('anything')), newEntries(5));
    });

    it('A8 A14 a page has exactly as many entries as chunks begin below the size', () => {
      const { hash, stored } = content.sealPage(VOLUME, 2, ENTRIES);
      for (const count of [1, 2, 4, 1024]) {
        assert.throws(() => content.openPage(VOLUME, 2, count, hash, stored), integrity, `${count} entries`);
      }
    });

    it('an index opens to the hashes of all pages, trailing zeros included', () => {
      const { hash, stored } = content.sealIndex(VOLUME, HASHES);
      assert.deepEqual(content.openIndex(VOLUME, 3, hash, stored), HASHES);
      assert.deepEqual(content.openIndex(VOLUME, 1, hash, stored), HASHES.subarray(0, 32));
      assert.equal(stored.length, encrypted ? 32 + 43 : 32);
      assert.deepEqual(content.sealIndex(VOLUME, HASHES.subarray(0, 32)).hash, hash);
    });

    it('A8 an index for more pages than the volume has is refused', () => {
      const { hash, stored } = content.sealIndex(VOLUME, HASHES.toReversed());
      assert.throws(() => content.openIndex(VOLUME, 2, hash, stored), integrity);
    });

    it('a volume without pages has an index of its own', () => {
      const { hash, stored } = content.sealIndex(VOLUME, new Uint8Array(0));
      assert.notDeepEqual(hash, new Uint8Array(32));
      assert.deepEqual(content.openIndex(VOLUME, 0, hash, stored), new Uint8Array(0));
      assert.deepEqual(content.openIndex(VOLUME, 4, hash, stored), newEntries(4));
    });

    it('the largest index, of 16 TiB in chunks of 64 KiB, opens', () => {
      const hashes = newEntries(256 * 1024).fill(7);
      const { hash, stored } = content.sealIndex(VOLUME, hashes);
      assert.equal(Buffer.compare(content.openIndex(VOLUME, 256 * 1024, hash, stored), hashes), 0);
    });
  });

  describe(`heads and catalogues (${encrypted ? 'encrypted' : 'plain'})`, () => {
    const record = recordOf({ encrypted });
    const content = new ArchiveContent(record);

    it('open as plain data, equal to what was sealed', () => {
      const head = headOf(record.archive, { base: SESSION, session: OTHER_SESSION });
      const sealed = content.sealHead(head);
      assert.deepEqual(content.openHead(VOLUME, OTHER_SESSION, sealed.stored), head);
      assert.deepEqual(sealed.hash, objectHash(sealed.stored));
      assert.deepEqual(structuredClone(content.openHead(VOLUME, OTHER_SESSION, sealed.stored)), head);
      const catalogue = catalogueOf(record.archive);
      assert.deepEqual(content.openCatalogue(content.sealCatalogue(catalogue).stored), catalogue);
    });

    it('a head goes with its archive, volume, session and chunk size', () => {
      assert.throws(() => content.sealHead(headOf(OTHER_ARCHIVE)), fault('failed'));
      assert.throws(() => content.sealHead(headOf(record.archive, { chunkSize: 2 * CHUNK_SIZE })), fault('failed'));
      assert.throws(() => content.sealCatalogue(catalogueOf(OTHER_ARCHIVE)), fault('failed'));
    });

    it('take names of 4096 bytes, and none longer', () => {
      const name = 'ü'.repeat(2048);
      const { stored } = content.sealHead(headOf(record.archive, { name }));
      assert.equal(content.openHead(VOLUME, SESSION, stored).name, name);
      for (const bad of ['', `${name}x`, 'ü'.repeat(4096)]) {
        assert.throws(() => content.sealHead(headOf(record.archive, { name: bad })), fault('failed'));
      }
    });

    it('a catalogue is sorted by id when it is sealed, and has each id once', () => {
      const catalogue = catalogueOf(record.archive);
      const reversed = { ...catalogue, volumes: catalogue.volumes.toReversed() };
      assert.deepEqual(content.openCatalogue(content.sealCatalogue(reversed).stored), catalogue);
      const twice = { ...catalogue, volumes: [...catalogue.volumes, ...catalogue.volumes] };
      assert.throws(() => content.sealCatalogue(twice), fault('failed'));
    });

    it('a catalogue of 4096 volumes is sealed and opened, one of 4097 is refused before anything is sent', () => {
      const [volume] = catalogueOf(record.archive).volumes;
      assert.ok(volume);
      const volumes = (count: number) =>
        Array.from({ length: count }, (_, index) => ({
          ...volume,
          id: index.toString(16).padStart(32, '0') as typeof VOLUME,
        }));
      const full = catalogueOf(record.archive, { volumes: volumes(4096) });
      assert.deepEqual(content.openCatalogue(content.sealCatalogue(full).stored), full);
      assert.throws(
        () => content.sealCatalogue(catalogueOf(record.archive, { volumes: volumes(4097) })),
        fault('failed'),
      );
    });

    it('a fault says which object, and never what is in it', () => {
      const { stored } = content.sealHead(headOf(record.archive));
      assert.throws(
        () => content.openHead(VOLUME, OTHER_SESSION, stored),
        (error: Error) =>
          error.message.includes(VOLUME) && error.message.includes(OTHER_SESSION) && !error.message.includes('vm-work'),
      );
    });
  });
}

describe('heads and catalogues that the key itself sealed wrongly', () => {
  const record = recordOf();
  const content = new ArchiveContent(record);
  const cipher = new Xaes256Gcm(workingKeys(record).seal);
  const openHead = (map: Record<string, unknown>): unknown => {
    const aad = headAad(record.archive, VOLUME, SESSION);
    return content.openHead(VOLUME, SESSION, seal(cipher, OBJECT_TYPE.head, aad, encodeMap({ v: 1, ...map })));
  };
  const openCatalogue = (map: Record<string, unknown>): unknown =>
    content.openCatalogue(
      seal(cipher, OBJECT_TYPE.catalogue, catalogueAad(record.archive), encodeMap({ v: 1, ...map })),
    );
  const head = { ...headOf(record.archive) };
  const catalogue = { ...catalogueOf(record.archive) };
  const [volume] = catalogueOf(record.archive).volumes;

  it('open where they are right', () => {
    assert.deepEqual(openHead(head), head);
    assert.deepEqual(openCatalogue(catalogue), catalogue);
  });

  it('A3 a head that names another archive, volume, session or chunk size than it was asked for', () => {
    for (const changed of [
      { archive: OTHER_ARCHIVE },
      { volume: OTHER_VOLUME },
      { session: OTHER_SESSION },
      { chunkSize: 2 * CHUNK_SIZE },
    ]) {
      assert.throws(() => openHead({ ...head, ...changed }), integrity, JSON.stringify(changed));
    }
    assert.throws(() => openCatalogue({ ...catalogue, archive: OTHER_ARCHIVE }), integrity);
  });

  it('A8 a head whose fields are out of bounds, missing, unknown or of another type', () => {
    for (const changed of [
      { v: 2 },
      { size: 16 * 2 ** 40 + 1 },
      { chunkSize: 3 },
      { sequence: 0 },
      { index: new Uint8Array(31) },
      { index: '' },
      { state: 'paused' },
      { base: SESSION },
      { base: 'S_20269999-999999' },
      { compared: 1 },
      { name: 'x'.repeat(4097) },
      { extra: 1 },
    ]) {
      assert.throws(() => openHead({ ...head, ...changed }), integrity, JSON.stringify(changed));
    }
    for (const key of Object.keys(head)) {
      const missing = Object.fromEntries(Object.entries(head).filter(([each]) => each !== key));
      assert.throws(() => openHead(missing), integrity, key);
    }
  });

  it('A8 a catalogue that is unsorted, has an id twice, or fields out of bounds', () => {
    const entry = { ...volume };
    for (const volumes of [
      catalogue.volumes.toReversed(),
      [entry, entry],
      [{ ...entry, session: null }],
      [{ ...entry, head: null }],
      [{ ...entry, state: 'gone' }],
      [{ ...entry, tags: { yesterday: ['x'] } }],
      [{ ...entry, tags: { [SESSION]: [''] } }],
      [{ ...entry, tags: { [SESSION]: Array.from({ length: 65 }, (_, index) => `tag ${index}`) } }],
      [{ ...entry, extra: true }],
      Array.from({ length: 3 }, () => null),
    ]) {
      assert.throws(() => openCatalogue({ ...catalogue, volumes }), integrity);
    }
  });
});

describe('entries', () => {
  it('are read and set by number; behind the last one there are zeros', () => {
    const entries = newEntries(3);
    setEntry(entries, 1, Buffer.alloc(32, 4));
    assert.deepEqual(entryAt(entries, 1), new Uint8Array(32).fill(4));
    assert.deepEqual(
      [0, 1, 2, 3].map((number) => isZeroEntry(entries, number)),
      [true, false, true, true],
    );
    assert.throws(() => {
      setEntry(entries, 3, Buffer.alloc(32));
    }, RangeError);
    assert.throws(() => {
      setEntry(entries, 0, Buffer.alloc(31));
    }, RangeError);
  });

  it('a page hash says for which range it is', () => {
    assert.notDeepEqual(pageHash(0, ENTRIES), pageHash(1, ENTRIES));
  });
});

describe('chunk content', () => {
  it('a plain archive takes no codec but its own', () => {
    const content = new ArchiveContent(recordOf({ encrypted: false, codec: 'gzip' }));
    assert.throws(() => content.chunkContent(1, 'zstd'), fault('config'));
    assert.equal(content.chunkContent(6).codec, 'gzip');
    assert.equal(new ArchiveContent(recordOf()).chunkContent(6, 'gzip').codec, 'gzip');
  });
});
