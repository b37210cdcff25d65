import assert from 'node:assert/strict';
import { createHash, hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { decodeMap, encodeMap } from '../../../shared/wire/msgpack.ts';
import { OBJECT_TYPE, slotAad } from '../../../dom0-agent/content/aad.ts';
import { decodeRecord, encodeRecord, macOf, newRecord } from '../../../dom0-agent/content/keys.ts';
import type { MacName } from '../../../dom0-agent/content/mac-names.ts';
import { passphraseOf } from '../../../dom0-agent/content/passphrase.ts';
import { formatRecoveryKey, newRecoveryKey, parseRecoveryKey } from '../../../dom0-agent/content/recovery-key.ts';
import { seal } from '../../../dom0-agent/content/sealed.ts';
import { inspectSlot, openSlot, sealSlot, type SlotSecret } from '../../../dom0-agent/content/slot.ts';
import { Xaes256Gcm } from '../../../dom0-agent/content/xaes.ts';
import { OTHER_ARCHIVE, fault, recordOf } from './objects.ts';

const passphrase = (text: string): SlotSecret => ({ kind: 'passphrase', passphrase: { bytes: Buffer.from(text) } });
const RECORD = recordOf();
const RECOVERY = { kind: 'recovery', key: newRecoveryKey() } as const;

/** The slot with fields changed and its check made anew, as a receiver could do. */
function forged(stored: Uint8Array, changes: Record<string, unknown>): Uint8Array {
  const slot = { ...decodeMap(stored), ...changes } as {
    archive: string;
    kind: string;
    n: number;
    r: number;
    p: number;
    salt: Uint8Array;
    sealed: Uint8Array;
  };
  const parameters = Buffer.alloc(17);
  parameters.writeUInt8(slot.kind === 'passphrase' ? 1 : 2);
  parameters.writeBigUInt64BE(BigInt(slot.n), 1);
  parameters.writeUInt32BE(slot.r, 9);
  parameters.writeUInt32BE(slot.p, 13);
  const joined = Buffer.concat([Buffer.from(slot.archive, 'hex'), parameters, slot.salt, slot.sealed]);
  const check = createHash('sha512-256').update(joined).digest().subarray(0, 8);
  return encodeMap({ ...slot, check: Uint8Array.from(check) });
}

describe('passphrase slots', async () => {
  const stored = await sealSlot(RECORD, passphrase('correct horse'));

  it('G5 open with the passphrase, and with no other', async () => {
    assert.deepEqual(await openSlot(stored, passphrase('correct horse')), RECORD);
    for (const wrong of ['', 'Correct horse', 'correct horse\n']) {
      await assert.rejects(openSlot(stored, passphrase(wrong)), fault('wrong-passphrase'));
    }
    await assert.rejects(openSlot(stored, RECOVERY), fault('wrong-passphrase'));
  });

  it('G5 A1 damaged anywhere say so, whatever the passphrase', async () => {
    for (let at = 0; at < stored.length; at++) {
      const flipped = stored.map((byte, index) => (index === at ? byte ^ 0x04 : byte));
      await assert.rejects(openSlot(flipped, passphrase('correct horse')), fault('integrity'), `byte ${at}`);
    }
  });

  it('say what they are without being opened', () => {
    assert.deepEqual(inspectSlot(stored), { kind: 'passphrase', archive: RECORD.archive });
  });

  it('A10 with scrypt parameters that are huge, zero or odd are refused before anything is computed', async () => {
    for (const changes of [
      { n: 0 },
      { n: 1 },
      { n: 2 ** 13 },
      { n: 2 ** 17 + 1 },
      { n: 2 ** 19 },
      { n: 2 ** 21 },
      { n: 2 ** 53 - 1 },
      { r: 0 },
      { r: 7 },
      { r: 2 ** 32 - 1 },
      { p: 0 },
      { p: 3 },
      { n: 2 ** 18, p: 2 },
      { p: 2 ** 32 - 1 },
    ]) {
      const bad = forged(stored, changes);
      // With a key computed from these it would not open either, and would be told of its passphrase.
      await assert.rejects(openSlot(bad, passphrase('correct horse')), /is outside the allowed limits/);
    }
  });

  it('of before, made from bytes as they were given, open with the same words still', async () => {
    const bytes = Buffer.from('cafe\u0301\r');
    const old = await sealSlot(RECORD, { kind: 'passphrase', passphrase: { bytes } });
    const given = passphraseOf(Buffer.from('cafe\u0301\r\n'))!;
    assert.deepEqual(await openSlot(old, { kind: 'passphrase', passphrase: given }), RECORD);
    const elsewhere = passphraseOf(Buffer.from('caf\u00e9\n'))!;
    await assert.rejects(openSlot(old, { kind: 'passphrase', passphrase: elsewhere }), fault('wrong-passphrase'));
  });

  it('with cheaper parameters than they were made with do not open', async () => {
    const bad = forged(stored, { n: 2 ** 14 });
    await assert.rejects(openSlot(bad, passphrase('correct horse')), fault('wrong-passphrase'));
  });

  it('A3 of another archive are refused', async () => {
    await assert.rejects(openSlot(stored, passphrase('correct horse'), OTHER_ARCHIVE), fault('integrity'));
    const renamed = forged(stored, { archive: OTHER_ARCHIVE });
    await assert.rejects(openSlot(renamed, passphrase('correct horse'), OTHER_ARCHIVE), fault('wrong-passphrase'));
  });

  it('leave the event loop free while scrypt works', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await openSlot(stored, passphrase('correct horse'));
    clearInterval(timer);
    assert.ok(turns > 2, `${turns} turns`);
  });
});

describe('recovery slots', () => {
  it('open with the key as it was printed', async () => {
    const stored = await sealSlot(RECORD, RECOVERY);
    const key = parseRecoveryKey(formatRecoveryKey(RECOVERY.key));
    assert.deepEqual(await openSlot(stored, { kind: 'recovery', key }, RECORD.archive), RECORD);
    await assert.rejects(openSlot(stored, { kind: 'recovery', key: newRecoveryKey() }), fault('wrong-passphrase'));
    await assert.rejects(openSlot(stored, passphrase('x')), fault('wrong-passphrase'));
  });

  it('A10 with scrypt parameters are refused', async () => {
    const stored = await sealSlot(RECORD, RECOVERY);
    await assert.rejects(openSlot(forged(stored, { n: 2 ** 17, r: 8, p: 1 }), RECOVERY), fault('integrity'));
  });
});

describe('slots of a newer release', () => {
  it('are opened, and say so: neither the secret nor the slot is called wrong', async () => {
    const slot = decodeMap(await sealSlot(RECORD, RECOVERY)) as { salt: Uint8Array };
    const key = new Uint8Array(hkdfSync('sha512', RECOVERY.key, slot.salt, 'sparsebak 1 recovery', 32));
    const aad = slotAad(RECORD.archive, 2, 0, 0, 0, slot.salt);
    const newer = encodeMap({ v: 1, ...RECORD, identity: 'kmac' });
    const stored = forged(encodeMap(slot), { sealed: seal(new Xaes256Gcm(key), OBJECT_TYPE.slot, aad, newer) });
    await assert.rejects(openSlot(stored, RECOVERY), { code: 'config', message: /newer release.*"identity"/ });
    assert.deepEqual(inspectSlot(stored), { kind: 'recovery', archive: RECORD.archive });
  });
});

describe('recovery keys', () => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

  it('are read as they are written, and as people write them', () => {
    fc.assert(
      fc.property(bytes32, (key) => {
        const text = formatRecoveryKey(key);
        assert.match(text, /^([0-9A-HJKMNP-TV-Z]{7}-){7}[0-9A-HJKMNP-TV-Z]{7}$/);
        assert.deepEqual(parseRecoveryKey(text), key);
        const typed = text.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
        assert.deepEqual(parseRecoveryKey(` ${typed}\n`), key);
      }),
    );
  });

  it('are read from word processors, web pages and other keyboards', () => {
    const text = formatRecoveryKey(Uint8Array.from({ length: 32 }, (_, index) => 255 - index));
    const key = parseRecoveryKey(text);
    const dashes = '\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\ufe58\u00ad';
    const spaces = '\u00a0\u2009\u202f\u3000\u200b\ufeff';
    for (const separator of dashes + spaces) {
      assert.deepEqual(
        parseRecoveryKey(text.replaceAll('-', separator)),
        key,
        `U+${separator.codePointAt(0)!.toString(16)}`,
      );
    }
    const wide = text.replaceAll(/[0-9A-Z]/g, (digit) => String.fromCodePoint(digit.codePointAt(0)! + 0xfee0));
    assert.deepEqual(parseRecoveryKey(wide), key);
    assert.deepEqual(parseRecoveryKey(`\ufeff${text.toLowerCase()}\r\n`), key);
  });

  it('have a fixed form', () => {
    // SHA-256 of 32 zero bytes begins with 66687a.
    assert.equal(
      formatRecoveryKey(new Uint8Array(32)),
      '0000000-0000000-0000000-0000000-0000000-0000000-0000000-006CT3T',
    );
  });

  it('mistyped are told apart from wrong, and are not shown', () => {
    const text = formatRecoveryKey(newRecoveryKey());
    const swapped = text.replace(/^(.)(.)/, (_, a: string, b: string) =>
      a === b ? `${a}${a === 'A' ? 'B' : 'A'}` : b + a,
    );
    for (const typed of ['', text.slice(1), `${text}0`, `U${text.slice(1)}`, swapped]) {
      assert.throws(
        () => parseRecoveryKey(typed),
        (error) =>
          error instanceof SparsebakError &&
          error.code === 'wrong-passphrase' &&
          error.message.includes('mistyped') &&
          !text.split('-').some((group) => error.message.includes(group)),
        typed,
      );
    }
  });

  it('find every single wrong digit', () => {
    const text = formatRecoveryKey(Uint8Array.from({ length: 32 }, (_, index) => index * 7));
    for (let at = 0; at < text.length; at++) {
      if (text[at] === '-') continue;
      const typed = `${text.slice(0, at)}${text[at] === '7' ? '8' : '7'}${text.slice(at + 1)}`;
      assert.throws(() => parseRecoveryKey(typed), fault('wrong-passphrase'), `digit ${at}`);
    }
  });
});

describe('wrapped records', () => {
  it('say which archive they are of; those of before do not, and are read', () => {
    const name = 'laptop' as ArchiveName;
    assert.deepEqual(decodeRecord(encodeRecord({ ...RECORD, name })), { ...RECORD, name });
    assert.equal(decodeRecord(encodeRecord(RECORD)).name, undefined);
    for (const wrong of ['', 'Laptop', '../x', 1, null]) {
      assert.throws(() => decodeRecord(encodeMap({ v: 1, ...RECORD, name: wrong })), fault('integrity'));
    }
  });

  it('are read as they were written, each new one with its own id and key', () => {
    const name = 'laptop' as ArchiveName;
    const options = { name, encrypted: false, codec: 'gzip', chunkSize: 2 ** 18, dedup: false } as const;
    const [one, other] = [newRecord(options), newRecord(options)];
    assert.deepEqual(decodeRecord(encodeRecord(one)), one);
    assert.notEqual(one.archive, other.archive);
    assert.notDeepEqual(one.key, other.key);
  });

  it('name the MAC of the archive unless it is BLAKE2b: what earlier releases read stays as it was', () => {
    const options = { name: 'laptop' as ArchiveName, encrypted: true, codec: 'zstd', chunkSize: 2 ** 18 } as const;
    const fieldsWith = (mac: MacName) => {
      const encoded = encodeRecord(newRecord({ ...options, dedup: false, mac }));
      assert.equal(macOf(decodeRecord(encoded)), mac);
      return Object.keys(decodeMap(encoded)).toSorted();
    };
    const before = ['archive', 'chunkSize', 'codec', 'dedup', 'encrypted', 'key', 'name', 'v'];
    assert.deepEqual(fieldsWith('blake2b'), before);
    assert.deepEqual(fieldsWith('sha256'), [...before, 'identity'].toSorted());
  });

  it('of a newer release are not called corrupt: what is unknown is named, and the way out', () => {
    for (const [changes, part] of [
      [{ identity: 'blake3' }, /value of "identity"/],
      [{ codec: 'lzma' }, /value of "codec"/],
      [{ more: 1 }, /a field/],
      [{ more: 1, identity: 'kmac' }, /that this program does not know/],
      [{ v: 2 }, /a version/],
    ] as const) {
      const encoded = encodeMap({ v: 1, ...RECORD, ...changes });
      assert.throws(
        () => decodeRecord(encoded),
        (error) => {
          fault('config')(error);
          const { message, hint } = error as SparsebakError;
          assert.match(message, /made by a newer release/);
          assert.match(message, part);
          assert.match(hint ?? '', /^Upgrade sparsebak/);
          assert.doesNotMatch(message, /\d{3}|corrupt|damaged/);
          return true;
        },
      );
    }
  });

  it('of a wrong form are refused, and the key is not shown', () => {
    for (const changes of [
      { key: new Uint8Array(31) },
      { codec: 1 },
      { identity: 1 },
      { identity: null },
      { chunkSize: 1000 },
      { encrypted: 1 },
      { key: new Uint8Array(31), more: 1 },
      { key: 'none', identity: 'blake3' },
    ]) {
      const encoded = encodeMap({ v: 1, ...RECORD, ...changes });
      assert.throws(
        () => decodeRecord(encoded),
        (error) => {
          fault('integrity')(error);
          assert.doesNotMatch((error as Error).message, /\d{3}/);
          return true;
        },
      );
    }
  });
});
