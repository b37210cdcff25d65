/**
 * Key slots: the wrapped record, sealed with a passphrase or a recovery key (docs/format.md, section 9). The receiver
 * stores them and may have changed every byte.
 */
import { createHash, hkdfSync, randomBytes, scrypt } from 'node:crypto';
import type { ArchiveId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import { OBJECT_TYPE, slotAad, slotParameters } from './aad.ts';
import { archiveId, binary, bytes, decodeFields, encodeFields, uint } from './fields.ts';
import { integrityError } from './integrity-error.ts';
import { equalBytes, plain } from './bytes.ts';
import { decodeRecord, encodeRecord, type WrappedRecord } from './keys.ts';
import type { Passphrase } from './passphrase.ts';
import { SEALED_OVERHEAD, seal, unsealPlain } from './sealed.ts';
import { KEY_LENGTH, Xaes256Gcm } from './xaes.ts';

/** The largest stored slot in bytes. */
export const MAX_SLOT_LENGTH = 4 * 1024;

/** The cost of new slots: 128 MiB and about 0.3 s. */
const SCRYPT_COST = { n: 2 ** 17, r: 8, p: 1 } as const;
/**
 * The parameters that are computed at all, since the receiver may have written the slot: p times 128 N r bytes, at most
 * 256 MiB, is twice the memory and work of any slot that was ever written. The lower limit is far below that.
 */
const SCRYPT_BOUNDS = { lowestN: 2 ** 14, r: 8, highestCost: 256 * 2 ** 20 } as const;

const KIND_NUMBER = { passphrase: 1, recovery: 2 } as const;
export type SlotKind = keyof typeof KIND_NUMBER;

/** The secret that opens a slot. */
export type SlotSecret =
  | { readonly kind: 'passphrase'; readonly passphrase: Passphrase }
  | { readonly kind: 'recovery'; readonly key: Uint8Array };

const SALT_LENGTH = 32;
const CHECK_LENGTH = 8;

const schema = z.strictObject({
  archive: archiveId,
  kind: z.enum(['passphrase', 'recovery']),
  n: uint,
  r: uint.check(z.maximum(2 ** 32 - 1)),
  p: uint.check(z.maximum(2 ** 32 - 1)),
  salt: bytes(SALT_LENGTH),
  sealed: z.pipe(
    binary.check(
      z.refine((value) => value.length >= SEALED_OVERHEAD && value.length <= MAX_SLOT_LENGTH, 'too long or too short'),
    ),
    z.transform(plain),
  ),
  check: bytes(CHECK_LENGTH),
});
type Slot = z.infer<typeof schema>;

/** The stored bytes of a new slot. */
export async function sealSlot(record: WrappedRecord, secret: SlotSecret): Promise<Uint8Array> {
  const cost = secret.kind === 'passphrase' ? SCRYPT_COST : { n: 0, r: 0, p: 0 };
  const slot = { archive: record.archive, kind: secret.kind, ...cost, salt: plain(randomBytes(SALT_LENGTH)) };
  const [input] = stretchedFrom(secret);
  const cipher = new Xaes256Gcm(await slotKey(slot, input));
  const sealed = seal(cipher, OBJECT_TYPE.slot, aadOf(slot), encodeRecord(record));
  return encodeFields(schema, { ...slot, sealed, check: checkOf({ ...slot, sealed }) }, 'the key slot');
}

/**
 * A slot's unproven description of itself, without opening it.
 * @throws SparsebakError `integrity` for a damaged slot
 */
export function inspectSlot(stored: Uint8Array): { readonly kind: SlotKind; readonly archive: ArchiveId } {
  const { kind, archive } = readSlot(stored);
  return { kind, archive };
}

/**
 * Takes about 0.3 s of another thread and 128 MiB for a passphrase, and at most twice that; twice the time if an older
 * form of it is tried as well.
 * @param archive the archive to which the slot must belong, if known
 * @throws SparsebakError `integrity` for a damaged slot or another archive's, `wrong-passphrase` for a secret that does
 * not open it
 */
export async function openSlot(stored: Uint8Array, secret: SlotSecret, archive?: ArchiveId): Promise<WrappedRecord> {
  const slot = readSlot(stored);
  if (archive !== undefined && slot.archive !== archive)
    throw integrityError('the key slot', 'it belongs to another archive');
  if (slot.kind !== secret.kind)
    throw wrongSecret(`this slot takes a ${slot.kind === 'recovery' ? 'recovery key' : 'passphrase'}`);
  const record = decodeRecord(await unsealedBy(slot, stretchedFrom(secret)));
  if (record.archive !== slot.archive) throw integrityError('the key slot', 'it contains the key of another archive');
  return record;
}

function readSlot(stored: Uint8Array): Slot {
  if (stored.length > MAX_SLOT_LENGTH) throw integrityError('the key slot', `${stored.length} bytes are too many`);
  const slot = decodeFields(schema, stored, 'the key slot');
  // A check of all fields, since a changed one would otherwise look like a wrong passphrase. Not a proof: the receiver
  // can compute it.
  if (!equalBytes(checkOf(slot), slot.check)) throw integrityError('the key slot', 'damaged');
  checkParameters(slot);
  return slot;
}

/** Checked before anything is computed with them: the receiver may ask for all memory, or for no work at all. */
function checkParameters({ kind, n, r, p }: Slot): void {
  const allowed =
    kind === 'recovery'
      ? n === 0 && r === 0 && p === 0
      : Number.isInteger(Math.log2(n)) &&
        n >= SCRYPT_BOUNDS.lowestN &&
        r === SCRYPT_BOUNDS.r &&
        p >= 1 &&
        128 * n * r * p <= SCRYPT_BOUNDS.highestCost;
  if (!allowed)
    throw integrityError('the key slot', `scrypt with N=${n}, r=${r}, p=${p} is outside the allowed limits`);
}

/** The inputs for a slot's key: for a passphrase its current form, then an older one. */
function stretchedFrom(secret: SlotSecret): readonly [SlotKeySource, ...SlotKeySource[]] {
  if (secret.kind === 'recovery') return [secret];
  const { bytes: form, older } = secret.passphrase;
  const first = { kind: 'passphrase', bytes: form } as const;
  return older === undefined ? [first] : [first, { kind: 'passphrase', bytes: older }];
}

async function unsealedBy(slot: Slot, sources: readonly SlotKeySource[]): Promise<Uint8Array> {
  let wrong: unknown;
  for (const source of sources) {
    const cipher = new Xaes256Gcm(await slotKey(slot, source));
    try {
      return unsealSlot(cipher, slot);
    } catch (error) {
      wrong = error;
    }
  }
  throw wrong;
}

/** The check shows that the slot is intact, so if it does not authenticate, the secret is wrong. */
function unsealSlot(cipher: Xaes256Gcm, slot: Slot): Uint8Array {
  try {
    return unsealPlain(cipher, OBJECT_TYPE.slot, aadOf(slot), slot.sealed, MAX_SLOT_LENGTH, 'the key slot');
  } catch (error) {
    const text = slot.kind === 'recovery' ? 'this recovery key does not open the archive' : 'wrong passphrase';
    throw wrongSecret(text, error);
  }
}

type SlotKeyInput = Pick<Slot, 'n' | 'r' | 'p' | 'salt'>;
type SlotKeySource =
  { readonly kind: 'passphrase'; readonly bytes: Uint8Array } | { readonly kind: 'recovery'; readonly key: Uint8Array };

async function slotKey({ n, r, p, salt }: SlotKeyInput, source: SlotKeySource): Promise<Uint8Array> {
  if (source.kind === 'recovery') {
    return new Uint8Array(hkdfSync('sha512', source.key, salt, 'sparsebak 1 recovery', KEY_LENGTH));
  }
  // OpenSSL's own limit is 32 MiB. It counts p blocks and N + 2 blocks, of 128 r bytes each.
  const maxmem = 128 * r * (n + p + 2);
  return new Promise((resolve, reject) => {
    scrypt(source.bytes, salt, KEY_LENGTH, { N: n, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else
        reject(
          new SparsebakError('failed', `deriving the key from the passphrase failed (it takes ${maxmem >> 20} MiB)`, {
            cause: error,
          }),
        );
    });
  });
}

function aadOf(slot: Pick<Slot, 'archive' | 'kind' | 'n' | 'r' | 'p' | 'salt'>): Buffer {
  return slotAad(slot.archive, KIND_NUMBER[slot.kind], slot.n, slot.r, slot.p, slot.salt);
}

function checkOf({ archive, kind, n, r, p, salt, sealed }: Omit<Slot, 'check'>): Uint8Array {
  const digest = createHash('sha512-256')
    .update(Buffer.from(archive, 'hex'))
    .update(slotParameters(KIND_NUMBER[kind], n, r, p))
    .update(salt)
    .update(sealed)
    .digest();
  return plain(digest.subarray(0, CHECK_LENGTH));
}

function wrongSecret(message: string, cause?: unknown): SparsebakError {
  return new SparsebakError('wrong-passphrase', message, cause === undefined ? {} : { cause });
}
