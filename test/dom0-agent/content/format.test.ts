// docs/format.md read a second time: an independent reader of what the program writes, with nothing but node:crypto, so
// that a change of the format is seen. Also the exact additional data.
import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createHmac, createCipheriv, hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decodeMap } from '../../../shared/wire/msgpack.ts';
import { catalogueAad, chunkAadPrefix, headAad, indexAad, pageAad, slotAad } from '../../../dom0-agent/content/aad.ts';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import { workingKeys } from '../../../dom0-agent/content/keys.ts';
import { MAC_NAMES, type MacName } from '../../../dom0-agent/content/mac-names.ts';
import { Mac } from '../../../dom0-agent/content/mac.ts';
import { sealSlot } from '../../../dom0-agent/content/slot.ts';
import { readPage } from '../../docs/pages.ts';
import {
  ARCHIVE,
  ENTRIES,
  HASHES,
  PLAINTEXT,
  SESSION,
  VOLUME,
  catalogueOf,
  chunkContent,
  headOf,
  recordOf,
  sealChunk,
} from './objects.ts';

const ARCHIVE_BYTES = Buffer.from(ARCHIVE, 'hex');
const VOLUME_BYTES = Buffer.from(VOLUME, 'hex');

/** Section 3 for both MACs: the label's end, and the function. */
const MACS = {
  blake2b: { suffix: '', hash: 'blake2b512' },
  sha256: { suffix: ' sha256', hash: 'sha256' },
} as const satisfies Record<MacName, unknown>;

const derived = (label: string): Buffer =>
  Buffer.from(hkdfSync('sha512', recordOf().key, ARCHIVE_BYTES, `sparsebak 1 ${label}`, 32));
const macKey = (mac: MacName, label: 'identity' | 'nonce' | 'mac'): Buffer => derived(label + MACS[mac].suffix);
const macOf = (mac: MacName, label: 'identity' | 'nonce' | 'mac', ...parts: Uint8Array[]): Buffer =>
  createHmac(MACS[mac].hash, macKey(mac, label)).update(Buffer.concat(parts)).digest().subarray(0, 32);
const aad = (type: number, ...rest: Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.from('sparsebak'), Buffer.of(1, type), ARCHIVE_BYTES, ...rest]);
const nodeHash = (type: number, number: number, entries: Uint8Array): Buffer => {
  const u64 = Buffer.alloc(8);
  u64.writeUInt32BE(number, 4);
  return createHash('sha512-256')
    .update(Buffer.concat([Buffer.of(type), u64, entries]))
    .digest();
};

/** Section 5 with the algorithm of https://c2sp.org/XAES-256-GCM, written out over big integers. */
function unseal(
  key: Uint8Array,
  type: number,
  additional: Uint8Array,
  stored: Uint8Array,
): { codec: number; payload: Buffer } {
  assert.deepEqual([stored[0], stored[1]], [1, type]);
  const nonce = Buffer.from(stored.subarray(2, 26));
  const aes = (block: bigint): Buffer => {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    return cipher.update(Buffer.from(block.toString(16).padStart(32, '0'), 'hex'));
  };
  const l = BigInt(`0x${aes(0n).toString('hex')}`);
  const k1 = ((l << 1n) & (2n ** 128n - 1n)) ^ (l >> 127n === 1n ? 0x87n : 0n);
  const derived = [1, 2].map((counter) => {
    const block = Buffer.concat([Buffer.of(0, counter, 0x58, 0), nonce.subarray(0, 12)]);
    return aes(BigInt(`0x${block.toString('hex')}`) ^ k1);
  });
  const gcm = createDecipheriv('aes-256-gcm', Buffer.concat(derived), nonce.subarray(12), { authTagLength: 16 });
  gcm.setAAD(additional).setAuthTag(stored.subarray(-16));
  const opened = Buffer.concat([gcm.update(stored.subarray(26, -16)), gcm.final()]);
  return { codec: opened.readUInt8(0), payload: opened.subarray(1) };
}

describe('the format, section 4: additional data', () => {
  const prefix = `${Buffer.from('sparsebak').toString('hex')}01`;
  const salt = Buffer.alloc(32, 0xaa);
  for (const [name, actual, expected] of [
    ['chunk', chunkAadPrefix(ARCHIVE), `${prefix}01${ARCHIVE}`],
    ['page', pageAad(ARCHIVE, VOLUME, 0x1_0203_0405), `${prefix}02${ARCHIVE}${VOLUME}0000000102030405`],
    ['index', indexAad(ARCHIVE, VOLUME), `${prefix}03${ARCHIVE}${VOLUME}`],
    [
      'head',
      headAad(ARCHIVE, VOLUME, SESSION),
      `${prefix}04${ARCHIVE}${VOLUME}${Buffer.from(SESSION).toString('hex')}`,
    ],
    ['catalogue', catalogueAad(ARCHIVE), `${prefix}05${ARCHIVE}`],
    [
      'slot',
      slotAad(ARCHIVE, 1, 2 ** 17, 8, 1, salt),
      `${prefix}06${ARCHIVE}0100000000000200000000000800000001${salt.toString('hex')}`,
    ],
  ] as const) {
    it(`A4 of a ${name} names its type and its place`, () => {
      assert.equal(actual.toString('hex'), expected);
    });
  }
});

describe('the format, section 3: vectors', () => {
  const rows = [
    ...readPage('docs/format.md').matchAll(
      /^\| (absent|`sha256`) \| K_(id|nonce|mac) \| `(\w{64})` \| `(\w{64})` \|$/gm,
    ),
  ];
  const labels = { id: 'identity', nonce: 'nonce', mac: 'mac' } as const;

  for (const [, identity, key, expectedKey, expectedMac] of rows) {
    const mac = identity === 'absent' ? 'blake2b' : 'sha256';
    const label = labels[key as keyof typeof labels];
    it(`K_${key} with ${mac}: here, and in the program`, () => {
      assert.equal(macKey(mac, label).toString('hex'), expectedKey);
      assert.equal(macOf(mac, label, Buffer.from('sparsebak')).toString('hex'), expectedMac);
      const own = Buffer.from(workingKeys(recordOf({ mac }))[label]);
      assert.equal(own.toString('hex'), expectedKey);
      assert.equal(new Mac(mac, own).of(32, Buffer.from('sparse'), Buffer.from('bak')).toString('hex'), expectedMac);
    });
  }

  it('are six', () => {
    assert.equal(rows.length, 6);
  });
});

for (const mac of MAC_NAMES)
  describe(`the format, section 5: encrypted objects (${mac})`, () => {
    const content = new ArchiveContent(recordOf({ mac }));
    const key = derived('seal');

    it('chunks', () => {
      for (const [codec, number] of [
        ['none', 0],
        ['zstd', 1],
        ['gzip', 2],
      ] as const) {
        const { stored, identity } = sealChunk(chunkContent(recordOf({ codec, mac })), PLAINTEXT);
        assert.deepEqual(Buffer.from(identity), macOf(mac, 'identity', PLAINTEXT));
        const { codec: actual, payload } = unseal(key, 1, aad(1, identity), stored);
        assert.equal(actual, number);
        const plaintext = number === 0 ? payload : number === 1 ? zstdDecompressSync(payload) : gunzipSync(payload);
        assert.deepEqual(plaintext, PLAINTEXT);
      }
    });

    it('chunks with deduplication have a synthetic nonce', () => {
      const { stored, identity } = sealChunk(chunkContent(recordOf({ dedup: true, mac })), PLAINTEXT);
      const { codec, payload } = unseal(key, 1, aad(1, identity), stored);
      const nonce = macOf(mac, 'nonce', aad(1, identity), Buffer.of(codec), payload).subarray(0, 24);
      assert.deepEqual(Buffer.from(stored.subarray(2, 26)), nonce);
    });

    it('nodes', () => {
      const page = content.sealPage(VOLUME, 2, ENTRIES);
      const index = content.sealIndex(VOLUME, HASHES);
      const two = Buffer.from('0000000000000002', 'hex');
      assert.ok(page.stored);
      assert.deepEqual(unseal(key, 2, aad(2, VOLUME_BYTES, two), page.stored), {
        codec: 0,
        payload: Buffer.from(ENTRIES),
      });
      assert.deepEqual(Buffer.from(page.hash), nodeHash(2, 2, ENTRIES));
      const kept = Buffer.from(HASHES.subarray(0, 32));
      assert.deepEqual(unseal(key, 3, aad(3, VOLUME_BYTES), index.stored), { codec: 0, payload: kept });
      assert.deepEqual(Buffer.from(index.hash), nodeHash(3, 0, kept));
    });

    it('heads and catalogues', () => {
      const head = content.sealHead(headOf(ARCHIVE)).stored;
      const payload = unseal(key, 4, aad(4, VOLUME_BYTES, Buffer.from(SESSION)), head).payload;
      assert.deepEqual(Object.keys(decodeMap(payload)).toSorted(), ['v', ...Object.keys(headOf(ARCHIVE))].toSorted());
      const catalogue = content.sealCatalogue(catalogueOf(ARCHIVE)).stored;
      assert.deepEqual(Object.keys(decodeMap(unseal(key, 5, aad(5), catalogue).payload)).toSorted(), [
        'archive',
        'sequence',
        'v',
        'volumes',
        'writer',
      ]);
    });
  });

for (const mac of MAC_NAMES)
  describe(`the format, section 6: plain archives (${mac})`, () => {
    const plain = recordOf({ encrypted: false, mac });

    it('chunks', () => {
      for (const [codec, bodyAt] of [
        ['gzip', 32],
        ['zstd', 24],
      ] as const) {
        const { stored, identity } = sealChunk(chunkContent({ ...plain, codec }), PLAINTEXT);
        const expected = macOf(mac, 'mac', aad(1, identity), stored.subarray(bodyAt)).subarray(0, 16);
        assert.deepEqual(Buffer.from(stored.subarray(bodyAt - 16, bodyAt)), expected);
      }
    });

    it('nodes are their entries', () => {
      const content = new ArchiveContent(plain);
      assert.deepEqual(content.sealPage(VOLUME, 2, ENTRIES).stored, ENTRIES);
      assert.deepEqual(content.sealIndex(VOLUME, HASHES).stored, HASHES.slice(0, 32));
    });

    it('heads and catalogues', () => {
      const content = new ArchiveContent(plain);
      for (const [type, additional, stored] of [
        [4, aad(4, VOLUME_BYTES, Buffer.from(SESSION)), content.sealHead(headOf(ARCHIVE)).stored],
        [5, aad(5), content.sealCatalogue(catalogueOf(ARCHIVE)).stored],
      ] as const) {
        assert.deepEqual([...stored.subarray(0, 3)], [1, type, 0]);
        assert.deepEqual(Buffer.from(stored.subarray(-32)), macOf(mac, 'mac', additional, stored.subarray(0, -32)));
        assert.equal(decodeMap(stored.subarray(3, -32)).archive, ARCHIVE);
      }
    });
  });

describe('the format, section 9: slots', () => {
  it('of a recovery key', async () => {
    const recovery = Buffer.alloc(32, 3);
    const record = recordOf({ mac: 'sha256' });
    const slot = decodeMap(await sealSlot(record, { kind: 'recovery', key: recovery }));
    const { salt, sealed } = slot as { salt: Uint8Array; sealed: Uint8Array };
    assert.deepEqual(
      { v: slot.v, kind: slot.kind, n: slot.n, r: slot.r, p: slot.p },
      { v: 1, kind: 'recovery', n: 0, r: 0, p: 0 },
    );
    const key = Buffer.from(hkdfSync('sha512', recovery, salt, 'sparsebak 1 recovery', 32));
    const parameters = Buffer.concat([Buffer.of(2), Buffer.alloc(16)]);
    const { payload } = unseal(key, 6, aad(6, parameters, salt), sealed);
    assert.deepEqual(decodeMap(payload).key, record.key);
    assert.equal(decodeMap(payload).identity, 'sha256');
    const check = createHash('sha512-256')
      .update(Buffer.concat([ARCHIVE_BYTES, parameters, salt, sealed]))
      .digest();
    assert.deepEqual(slot.check, Uint8Array.from(check.subarray(0, 8)));
  });
});
