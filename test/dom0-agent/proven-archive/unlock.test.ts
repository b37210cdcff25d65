import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { passphraseOf } from '../../../dom0-agent/content/passphrase.ts';
import { newRecord } from '../../../dom0-agent/content/keys.ts';
import { sealSlot, type SlotSecret } from '../../../dom0-agent/content/slot.ts';
import type { StoredSlot } from '../../../dom0-agent/proven-archive/stored-slots.ts';
import { unlockedRecord, type Unlocking } from '../../../dom0-agent/proven-archive/unlock.ts';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { NAME } from '../../fixtures/archive-in-memory.ts';
import { CHUNK_SIZE, fault } from '../content/objects.ts';

const record = newRecord({ name: NAME, encrypted: true, codec: 'gzip', chunkSize: CHUNK_SIZE, dedup: false });

const recovery = (number: number): SlotSecret => ({ kind: 'recovery', key: new Uint8Array(32).fill(number) });
const passphrase = (text: string): SlotSecret => ({ kind: 'passphrase', passphrase: passphraseOf(Buffer.from(text))! });

async function slot(name: string, secret: SlotSecret, of = record): Promise<StoredSlot> {
  return { name, kind: secret.kind, data: await sealSlot(of, secret) };
}

/** What a receiver can make up without stretching anything: it has the form of a slot to nobody but a listing. */
function madeUp(name: string, kind: 'passphrase' | 'recovery' = 'passphrase'): StoredSlot {
  return { name, kind, data: new Uint8Array(200).fill(7) };
}

function damaged(name: string): StoredSlot {
  return { name, kind: 'damaged', fault: new SparsebakError('integrity', `key slot "${name}" is damaged: cut short`) };
}

/** Unlocks, and tells what was asked before more slots were tried. */
async function unlocked(slots: readonly StoredSlot[], secret: SlotSecret, options: Partial<Unlocking> = {}) {
  const asked: (readonly string[])[] = [];
  const allowMore: Unlocking['allowMore'] = (tried, left) => {
    asked.push(tried, left);
    return Promise.resolve();
  };
  const opened = await unlockedRecord(slots, { archive: NAME, secret, allowMore, ...options });
  assert.deepEqual(opened, record);
  return asked;
}

describe('slots that the receiver may have made up', () => {
  it('A10 of passphrase slots two are tried unasked; for more the user is asked, once', async () => {
    const secret = passphrase('correct horse');
    const real = await slot('real', secret);
    const never = () => assert.fail('asked');
    await assert.rejects(unlocked([madeUp('a'), madeUp('b')], secret, { allowMore: never }), fault('integrity'));
    const many = [madeUp('a'), madeUp('b'), madeUp('c'), real, madeUp('d')];
    assert.deepEqual(await unlocked(many, secret), [
      ['a', 'b'],
      ['c', 'real', 'd'],
    ]);
  });

  it('A10 and none of the others where the user says no', async () => {
    const secret = passphrase('correct horse');
    const no = new SparsebakError('interrupted', 'no');
    let read = 0;
    const third: StoredSlot = Object.defineProperty({ name: 'c', kind: 'passphrase' }, 'data', {
      get: () => {
        read++;
        return new Uint8Array(200);
      },
    }) as never;
    const refusing = unlocked([madeUp('a'), madeUp('b'), third], secret, { allowMore: () => Promise.reject(no) });
    await assert.rejects(refusing, no);
    assert.equal(read, 0);
  });

  it('a recovery key costs nothing to try: all of its slots are, the right one last', async () => {
    const slots = await Promise.all([1, 2, 3, 4, 5].map((number) => slot(`r${number}`, recovery(number))));
    assert.deepEqual(await unlocked(slots, recovery(5)), []);
    assert.deepEqual(await unlocked([damaged('a'), madeUp('b', 'recovery'), ...slots], recovery(5)), []);
  });

  it('only slots of the secret’s kind are tried, and only the one that is named', async () => {
    const [first, second] = [await slot('first', recovery(1)), await slot('second', recovery(2))];
    const slots = [madeUp('p'), madeUp('q'), madeUp('r'), first, second];
    assert.deepEqual(await unlocked(slots, recovery(2)), []);
    assert.deepEqual(await unlocked(slots, recovery(2), { slot: 'second' }), []);
    await assert.rejects(unlocked(slots, recovery(2), { slot: 'first' }), fault('wrong-passphrase'));
    await assert.rejects(unlocked(slots, recovery(2), { slot: 'p' }), fault('usage'));
    await assert.rejects(unlocked(slots, recovery(2), { slot: 'none' }), {
      code: 'usage',
      hint: 'There are: p, q, r, first, second.',
    });
  });

  it('A3 an authentic slot of another archive, shown in the place of this one, is not taken for it', async () => {
    const other = await slot('other', recovery(1), { ...record, name: 'vault' as ArchiveName });
    await assert.rejects(unlocked([other], recovery(1)), {
      code: 'integrity',
      message: /"other".*"vault".*"laptop"/,
    });
  });
});

describe('G5 why nothing opened', () => {
  it('a wrong secret, where every slot is whole', async () => {
    const slots = [await slot('a', recovery(1)), await slot('b', recovery(2))];
    await assert.rejects(unlocked(slots, recovery(3)), fault('wrong-passphrase'));
  });

  it('damage, where any slot that might have opened is damaged: the secret may be right', async () => {
    const whole = await slot('a', recovery(1));
    for (const slots of [
      [whole, madeUp('b', 'recovery')],
      [madeUp('b', 'recovery'), whole],
    ]) {
      await assert.rejects(unlocked(slots, recovery(3)), fault('integrity'));
    }
  });

  it('no slot is left, or there is none at all', async () => {
    await assert.rejects(unlocked([damaged('a'), damaged('b')], recovery(1)), {
      code: 'integrity',
      message: /"a".*"b"/,
    });
    await assert.rejects(unlocked([], recovery(1)), { code: 'integrity' });
    await assert.rejects(unlocked([await slot('a', recovery(1))], passphrase('x')), {
      code: 'usage',
      message: /passphrase/,
    });
  });
});
