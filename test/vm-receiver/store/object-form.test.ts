// What has not the form of a key slot or a catalogue is not taken, by whomever it is put: the receiver has no key, and
// knows so much.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { decodeMap, encodeMap } from '../../../shared/wire/msgpack.ts';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import { newRecord } from '../../../dom0-agent/content/keys.ts';
import { passphraseOf } from '../../../dom0-agent/content/passphrase.ts';
import { newRecoveryKey } from '../../../dom0-agent/content/recovery-key.ts';
import { sealSlot } from '../../../dom0-agent/content/slot.ts';
import { catalogueFault, slotFault } from '../../../vm-receiver/store/object-form.ts';
import { CREATE, open, withReceivers } from '../wire-session.ts';
import { VOLUME, catalogueOf, newArchive, saidBy, slotOf } from './small-volumes.ts';

const record = (encrypted: boolean) =>
  newRecord({ name: 'laptop' as ArchiveName, encrypted, codec: 'zstd', chunkSize: 2 ** 18, dedup: false });
const OURS = newArchive().id;
const OTHERS = 'ef'.repeat(16) as typeof OURS;

/** What an agent makes, of an archive in both forms. */
async function real(encrypted: boolean) {
  const made = record(encrypted);
  const content = new ArchiveContent(made);
  const volume = { id: VOLUME, name: 'work', state: 'active', session: null, head: null, tags: {} } as const;
  const catalogue = { archive: made.archive, writer: VOLUME as never, sequence: 1 };
  return {
    form: { id: made.archive, encrypted },
    slots: [
      await sealSlot(made, { kind: 'passphrase', passphrase: passphraseOf(Buffer.from('correct horse'))! }),
      await sealSlot(made, { kind: 'recovery', key: newRecoveryKey() }),
    ],
    catalogues: [[], [volume]].map((volumes) => content.sealCatalogue({ ...catalogue, volumes }).stored),
  };
}

/** With one byte changed at each place in turn. */
function* flipped(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at++) {
    const copy = Uint8Array.from(data);
    copy[at] = copy[at]! ^ 0x41;
    yield copy;
  }
}

describe('the form of key slots and catalogues', () => {
  for (const encrypted of [true, false]) {
    test(`what dom0 makes for ${encrypted ? 'an encrypted' : 'a plain'} archive has it`, async () => {
      const { form, slots, catalogues } = await real(encrypted);
      for (const slot of slots) assert.equal(slotFault(form.id, slot), undefined);
      for (const catalogue of catalogues) assert.equal(catalogueFault(form, catalogue), undefined);
      // What is sealed shows no more of itself than that.
      for (const catalogue of catalogues) {
        if (encrypted) assert.notEqual(catalogueFault({ ...form, encrypted: false }, catalogue), undefined);
        else assert.match(catalogueFault({ ...form, id: OURS }, catalogue) ?? '', /to archive/);
      }
      for (const slot of slots) assert.match(slotFault(OURS, slot) ?? '', /it belongs to archive/);
    });
  }

  test('a newer dom0 may say more in them', () => {
    const slot = encodeMap({ ...decodeMap(slotOf('x')), note: 'new' });
    assert.equal(slotFault(OURS, slot), undefined);
    const plain = { id: OURS, encrypted: false };
    const catalogue = catalogueOf('x', plain);
    const map = { ...decodeMap(catalogue.subarray(3, -32)), note: 'new' };
    assert.equal(
      catalogueFault(plain, Buffer.concat([Buffer.of(1, 5, 0), encodeMap(map), Buffer.alloc(32)])),
      undefined,
    );
  });

  test('a slot with any byte changed has it not', async () => {
    const { form, slots } = await real(true);
    for (const slot of slots) {
      for (const other of flipped(slot)) assert.notEqual(slotFault(form.id, other), undefined);
      assert.notEqual(slotFault(form.id, slot.subarray(0, -1)), undefined);
    }
  });

  test('nor has garbage of any length', () => {
    for (const length of [0, 1, 2, 42, 43, 44, 4096, 4097, 65_536]) {
      const zeros = new Uint8Array(length);
      for (const data of [zeros, randomBytes(length).fill(9, 0, Math.min(1, length)), Buffer.alloc(length, 'x')]) {
        assert.notEqual(slotFault(OURS, data), undefined);
        for (const encrypted of [true, false])
          assert.notEqual(catalogueFault({ id: OURS, encrypted }, data), undefined);
      }
    }
    const long = Buffer.alloc(16 * 2 ** 20 + 1);
    long.set([1, 5]);
    assert.match(catalogueFault({ id: OURS, encrypted: true }, long) ?? '', /16777217 bytes/);
  });
});

test('garbage is refused whoever puts it, says why, and changes nothing', () =>
  withReceivers(async ({ start }) => {
    for (const grant of ['receive', 'all']) {
      const peer = start({ args: ['--grant', grant] });
      await open(peer);
      const garbage = { data: Buffer.alloc(100, 9) };
      const refused = async (request: Parameters<typeof peer.request>[0], why: RegExp) => {
        const { closing } = await peer.request(request);
        assert.ok(closing.t === 'error' && closing.code === 'bad-request', closing.t);
        assert.match(closing.message, why);
      };
      await refused({ t: 'put-slot', name: 'mine', ...garbage }, /key slot "mine" is malformed: not a msgpack map/);
      await refused(
        { t: 'put-slot', name: 'mine', data: slotOf('x', OTHERS) },
        /"mine" is malformed: it belongs to archive efef/,
      );
      peer.send({ t: 'part', ...garbage });
      await refused(
        { t: 'put-catalogue', replaces: new Uint8Array(32) },
        /the catalogue is malformed: not a sealed catalogue/,
      );
      const slots = await peer.done({ t: 'get-slots' });
      assert.deepEqual(
        slots.items.map((item) => (item.t === 'slot' ? [item.name, saidBy(item.data)] : item.t)),
        [['passphrase', 'a slot']],
      );
      const { items } = await peer.done({ t: 'get-catalogue' });
      assert.equal(saidBy(items.flatMap((item) => (item.t === 'data' ? [item.data] : []))), 'catalogue 1');
      await peer.bye();
    }
    const peer = start();
    await peer.greet();
    const other = { ...CREATE, archive: 'other' as ArchiveName } as Extract<typeof CREATE, { t: 'create' }>;
    assert.equal(await peer.refused({ ...other, catalogue: Buffer.from('x') }), 'bad-request');
    assert.equal(await peer.refused({ ...other, slots: [{ name: 'a', data: Buffer.from('x') }] }), 'bad-request');
    assert.equal(await peer.refused({ t: 'open', archive: 'other' as ArchiveName, lockWait: 1 }), 'not-found');
    await peer.bye();
  }));
