// What a hostile receiver can put in an object's place. Nothing but `integrity` may come of it, for every kind of
// object.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import { ChunkOpener } from '../../../dom0-agent/content/chunk.ts';
import { openSlot, sealSlot } from '../../../dom0-agent/content/slot.ts';
import {
  ENTRIES,
  HASHES,
  MODES,
  OTHER_ARCHIVE,
  OTHER_SESSION,
  OTHER_VOLUME,
  PLAINTEXT,
  SESSION,
  VOLUME,
  catalogueOf,
  chunkContent,
  fault,
  headOf,
  recordOf,
  sealChunk,
  specimens,
} from './objects.ts';

const integrity = fault('integrity');

async function isRefused(open: () => unknown, what: string): Promise<void> {
  await assert.rejects(async () => open(), integrity, what);
}

for (const mode of MODES) {
  describe(`hostile objects (${mode.name})`, () => {
    const record = recordOf(mode);
    const content = new ArchiveContent(record);

    it('every kind opens as it was made', async () => {
      for (const { kind, stored, open } of await specimens(record)) {
        await assert.doesNotReject(async () => open(stored), kind);
      }
    });

    it('A1 each byte of each kind flipped', async () => {
      let flips = 0;
      for (const { kind, stored, open } of await specimens(record)) {
        for (let at = 0; at < stored.length; at++) {
          for (const mask of [0x01, 0x80, 0xff]) {
            const flipped = stored.map((byte, index) => (index === at ? byte ^ mask : byte));
            await isRefused(() => open(flipped), `${kind}, byte ${at}, mask ${mask}`);
            flips++;
          }
        }
      }
      assert.ok(flips > 2000, `${flips} flips`);
    });

    it('A2 A11 each truncation of each kind, and bytes behind it', async () => {
      for (const { kind, stored, open } of await specimens(record)) {
        for (let length = 0; length < stored.length; length++) {
          await isRefused(() => open(stored.subarray(0, length)), `${kind}, ${length} bytes of ${stored.length}`);
        }
        for (const more of [1, 16, 2 ** 20]) {
          await isRefused(() => open(Buffer.concat([stored, Buffer.alloc(more)])), `${kind} and ${more} bytes`);
        }
      }
    });

    it('A4 each kind in the place of each other one', async () => {
      const all = await specimens(record);
      let pairs = 0;
      for (const place of all) {
        for (const put of all) {
          if (put === place) continue;
          const what = `${put.kind} for ${place.kind}`;
          await isRefused(() => place.open(put.stored), what);
          // The same, saying of itself that it is of the type that belongs there.
          const disguised = put.stored.slice();
          disguised.set(place.stored.subarray(0, 2));
          await isRefused(() => place.open(disguised), `${what}, disguised`);
          pairs++;
        }
      }
      assert.equal(pairs, 30);
    });

    it('A3 all kinds of another archive, even with the same key', async () => {
      const own = await specimens(record);
      const other = await specimens({ ...record, archive: OTHER_ARCHIVE });
      for (const [index, { kind, open }] of own.entries()) {
        const put = other[index];
        assert.equal(put?.kind, kind);
        // Plain pages and indexes are plain bytes: equal ones are equal in all archives, and only their hash counts.
        if (!mode.encrypted && (kind === 'page' || kind === 'index')) continue;
        if (!mode.encrypted && kind === 'chunk' && mode.codec === 'none') continue;
        await isRefused(() => open(put.stored), kind);
      }
    });

    it('A3 chunks in the place of others', () => {
      const opener = new ChunkOpener(chunkContent(record));
      const one = sealChunk(chunkContent(record), PLAINTEXT);
      const other = sealChunk(chunkContent(record), PLAINTEXT.toReversed());
      assert.throws(() => opener.open(other.stored, one.identity, PLAINTEXT.length), integrity);
      assert.throws(() => opener.open(one.stored, new Uint8Array(32), PLAINTEXT.length), integrity);
    });

    it('A3 A5 pages and indexes of another volume, range or state', () => {
      const page = content.sealPage(VOLUME, 2, ENTRIES);
      const older = content.sealPage(VOLUME, 2, ENTRIES.toReversed());
      const range = content.sealPage(VOLUME, 3, ENTRIES);
      const index = content.sealIndex(VOLUME, HASHES);
      const olderIndex = content.sealIndex(VOLUME, HASHES.toReversed());
      assert.throws(() => content.openPage(VOLUME, 2, 3, page.hash, older.stored), integrity);
      assert.throws(() => content.openPage(VOLUME, 3, 3, page.hash, page.stored), integrity);
      assert.throws(() => content.openPage(VOLUME, 2, 3, range.hash, page.stored), integrity);
      assert.throws(() => content.openIndex(VOLUME, 3, index.hash, olderIndex.stored), integrity);
      if (!mode.encrypted) return;
      assert.throws(() => content.openPage(OTHER_VOLUME, 2, 3, page.hash, page.stored), integrity);
      assert.throws(() => content.openIndex(OTHER_VOLUME, 3, index.hash, index.stored), integrity);
    });

    it('A3 heads of another volume or session', () => {
      const { stored } = content.sealHead(headOf(record.archive));
      assert.throws(() => content.openHead(OTHER_VOLUME, SESSION, stored), integrity);
      assert.throws(() => content.openHead(VOLUME, OTHER_SESSION, stored), integrity);
    });

    it('A13 a page that the index names and the receiver has not', () => {
      const { hash } = content.sealPage(VOLUME, 2, ENTRIES);
      assert.throws(() => content.openPage(VOLUME, 2, 3, hash, undefined), integrity);
    });

    it('A3 slots and catalogues of an archive that has the same id and another key', async () => {
      const other = recordOf({ ...mode, key: new Uint8Array(32).fill(1) });
      const { stored } = new ArchiveContent(other).sealCatalogue(catalogueOf(other.archive));
      assert.throws(() => content.openCatalogue(stored), integrity);
      const slot = await sealSlot({ ...other, archive: OTHER_ARCHIVE }, { kind: 'recovery', key: other.key });
      await assert.rejects(openSlot(slot, { kind: 'recovery', key: other.key }, record.archive), integrity);
    });
  });
}

describe('hostile modes', () => {
  it('A3 what the other MAC proves is not proven, even with the same archive key', async () => {
    const checkedByMac = { true: ['chunk'], false: ['chunk', 'head', 'catalogue'] } as const;
    for (const encrypted of [true, false]) {
      const own = await specimens(recordOf({ encrypted, mac: 'sha256' }));
      const other = await specimens(recordOf({ encrypted }));
      for (const kind of checkedByMac[`${encrypted}`]) {
        const place = own.find((each) => each.kind === kind);
        const put = other.find((each) => each.kind === kind);
        assert.ok(place && put);
        await isRefused(() => place.open(put.stored), `${kind}, encrypted ${encrypted}`);
      }
    }
  });

  it('A3 objects of a plain archive do not open in an encrypted one, nor the reverse', async () => {
    const plain = await specimens(recordOf({ encrypted: false }));
    const sealed = await specimens(recordOf());
    for (const [index, place] of sealed.entries()) {
      const put = plain[index];
      assert.ok(put);
      if (place.kind === 'slot') continue;
      await isRefused(() => place.open(put.stored), `plain ${place.kind} in an encrypted archive`);
      await isRefused(() => put.open(place.stored), `encrypted ${place.kind} in a plain archive`);
    }
  });
});
