// Key slots that the disk or the backup VM has hurt, forged or exchanged: one bad slot hides none of the good ones,
// costs little, and opens nothing that it should not.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { decodeRecord, encodeRecord } from '../../dom0-agent/content/keys.ts';
import { passphraseOf } from '../../dom0-agent/content/passphrase.ts';
import { sealSlot } from '../../dom0-agent/content/slot.ts';
import { decodeMap, encodeMap } from '../../shared/wire/msgpack.ts';
import { execFileSync } from 'node:child_process';
import { errorDocument, slotsDocument, verifyDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');

async function sent(t: TestContext, archive = 'laptop', root?: string): Promise<BackupSystem> {
  const pools = [{ name: 'main', type: 'file', path: plain.folder() }] as const;
  const lab = new BackupSystem(t, { pools, archive, ...(root === undefined ? {} : { root }) });
  lab.write('a.img', Buffer.alloc(100_000, archive));
  await lab.init('--chunk-size', '64K', '--recovery-key-file', join(lab.folder, 'paper'));
  await lab.send('--full');
  return lab;
}

const slotOf = (lab: BackupSystem, name: string) => join(lab.root, lab.archive, 'keys', name);

function unlocking(t: TestContext, lab: BackupSystem, ...how: string[]) {
  const other = new BackupSystem(t, { pools: [], root: lab.root, archive: lab.archive });
  const which = how.length > 0 ? how : ['--passphrase-file', join(lab.folder, 'passphrase')];
  return other.run(['--json', 'key', 'unlock', ...which]);
}

/** The slot with other scrypt parameters and a check that fits, as the backup VM can make it. */
function forged(stored: Uint8Array, n: number, p: number): Uint8Array {
  const slot = decodeMap(stored) as { archive: string; r: number; salt: Uint8Array; sealed: Uint8Array };
  const parameters = Buffer.alloc(17);
  parameters.writeUInt8(1);
  parameters.writeBigUInt64BE(BigInt(n), 1);
  parameters.writeUInt32BE(slot.r, 9);
  parameters.writeUInt32BE(p, 13);
  const joined = Buffer.concat([Buffer.from(slot.archive, 'hex'), parameters, slot.salt, slot.sealed]);
  return encodeMap({ ...slot, n, p, check: createHash('sha512-256').update(joined).digest().subarray(0, 8) });
}

describe('a damaged slot', () => {
  const damages: Readonly<Record<string, (path: string, whole: Buffer) => void>> = {
    empty: (path) => writeFileSync(path, ''),
    'cut short': (path, whole) => writeFileSync(path, whole.subarray(0, 100)),
    garbage: (path) => writeFileSync(path, Buffer.alloc(300, 0xc1)),
    'of 1 MiB': (path) => writeFileSync(path, Buffer.alloc(2 ** 20, 0x80)),
    'a folder': (path) => (rmSync(path), mkdirSync(path), undefined),
    'a pipe': (path) => (rmSync(path), execFileSync('mkfifo', [path]), undefined),
    'of another archive': (path, whole) =>
      writeFileSync(path, encodeMap({ ...decodeMap(whole), archive: '0'.repeat(32) })),
  };

  test('A2 G5 is named, is found by verify, blocks neither the others nor key add, and can be removed', async (t) => {
    const lab = await sent(t);
    const path = slotOf(lab, 'passphrase');
    const whole = readFileSync(path);
    for (const [name, damage] of Object.entries(damages)) {
      damage(path, whole);
      const { slots } = await lab.ask(slotsDocument, ['key', 'list']);
      assert.deepEqual(slots, [
        { name: 'passphrase', kind: 'DAMAGED' },
        { name: 'recovery', kind: 'recovery key' },
      ]);
      const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
      assert.deepEqual(
        verified.files.map(({ file }) => file),
        ['keys/passphrase'],
        name,
      );
      assert.match(verified.files[0]?.error.hint ?? '', /key add.*key remove passphrase/);
      assert.match((await lab.run(['verify'])).expect(4).stdout, /verified[^]*"passphrase" is damaged[^]*key remove/);
      (await unlocking(t, lab, '--recovery-key-file', join(lab.folder, 'paper'))).expect(0);
      (await unlocking(t, lab)).expect(4).json(errorDocument);
      (await lab.run(['key', 'add', 'second', '--passphrase-file', join(lab.folder, 'passphrase')])).expect(0);
      (await unlocking(t, lab)).expect(0);
      if (name !== 'a folder') {
        (await lab.run(['key', 'remove', 'passphrase', '--yes'])).expect(0);
        (await lab.run(['verify'])).expect(0);
      }
      (await lab.run(['key', 'remove', 'second', '--yes'])).expect(0);
      rmSync(path, { recursive: true, force: true });
      writeFileSync(path, whole);
    }
  });

  test('that is the last good one cannot be removed; a lost folder of slots is made again', async (t) => {
    const lab = await sent(t);
    writeFileSync(slotOf(lab, 'passphrase'), 'x');
    assert.match((await lab.run(['key', 'remove', 'recovery', '--yes'])).expect(2).stderr, /last slot/);
    rmSync(join(lab.root, lab.archive, 'keys'), { recursive: true });
    const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
    assert.match(verified.files[0]?.error.hint ?? '', /key add/);
    (await unlocking(t, lab)).expect(4).json(errorDocument);
    (await lab.run(['key', 'add', '--passphrase-file', join(lab.folder, 'passphrase')])).expect(0);
    (await lab.run(['verify'])).expect(0);
    (await unlocking(t, lab)).expect(0);
  });
});

describe('a hostile backup VM', () => {
  test('A3 shows another archive of the same owner in the place of the one that is asked for', async (t) => {
    const enc = await sent(t, 'enc');
    const two = await sent(t, 'two', enc.root);
    const at = (name: string) => join(enc.root, name);
    renameSync(at('enc'), at('enc-hidden'));
    cpSync(at('two'), at('enc'), { recursive: true });
    const { error } = (await unlocking(t, enc)).expect(4).json(errorDocument);
    assert.match(error.message, /belongs to archive "two", which was shown in place of "enc"/);
    // Only its slots, below the archive that was asked for.
    rmSync(at('enc'), { recursive: true });
    renameSync(at('enc-hidden'), at('enc'));
    cpSync(slotOf(two, 'passphrase'), slotOf(enc, 'passphrase'));
    (await unlocking(t, enc)).expect(4);
    (await unlocking(t, enc, '--recovery-key-file', join(enc.folder, 'paper'))).expect(0);
    // The state of one under the other's name.
    cpSync(join(two.stateDir, 'archives/two'), join(enc.stateDir, 'archives/enc'), { recursive: true });
    assert.match((await enc.run(['status'])).expect(2).stderr, /is that of archive "two"/);
  });

  test('a slot of an earlier release has no name: it opens, and that is said', async (t) => {
    const lab = await sent(t);
    const stored = join(lab.stateDir, 'archives', lab.archive, 'record');
    const { name, ...record } = decodeRecord(readFileSync(stored));
    assert.equal(name, lab.archive);
    const passphrase = passphraseOf(readFileSync(join(lab.folder, 'passphrase')))!;
    writeFileSync(slotOf(lab, 'passphrase'), await sealSlot(record, { kind: 'passphrase', passphrase }));
    assert.match((await unlocking(t, lab)).expect(0).stderr, /does not name its archive: compare the id/);
    // A slot that is made on a computer whose own record is that old has one.
    writeFileSync(stored, encodeRecord(record));
    (await lab.run(['key', 'change', 'passphrase', '--passphrase-file', join(lab.folder, 'passphrase')])).expect(0);
    assert.equal((await unlocking(t, lab)).expect(0).stderr, '');
  });

  test('A10 makes up slots: no more work than two of them cost, and never more than 256 MiB', async (t) => {
    const lab = await sent(t);
    const stored = readFileSync(slotOf(lab, 'passphrase'));
    for (let number = 0; number < 14; number++) {
      writeFileSync(slotOf(lab, `a-${number}`), forged(stored, 2 ** 18, 1));
    }
    const { error } = (await unlocking(t, lab)).expect(2).json(errorDocument);
    assert.match(error.message, /opens neither "a-0" nor "a-1", and more slots are not tried without asking/);
    assert.match(error.hint ?? '', /--slot: .*passphrase/);
    (await unlocking(t, lab, '--slot', 'passphrase', '--passphrase-file', join(lab.folder, 'passphrase'))).expect(0);
    (await unlocking(t, lab, '--recovery-key-file', join(lab.folder, 'paper'))).expect(0);
    for (const [n, p] of [
      [2 ** 20, 1],
      [2 ** 19, 1],
      [2 ** 17, 3],
      [2 ** 14, 17],
    ] as const) {
      writeFileSync(slotOf(lab, 'a-0'), forged(stored, n, p));
      const { slots } = await lab.ask(slotsDocument, ['key', 'list']);
      assert.equal(slots[0]?.kind, 'DAMAGED', `N ${n}, p ${p}`);
    }
  });
});
