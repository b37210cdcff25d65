/**
 * Finds the archive's key by a passphrase or a recovery key, in slots that the receiver may have made up. Each
 * passphrase slot costs up to a second and 256 MiB, so more than two are tried only with the user's consent.
 */
import type { ArchiveName } from '../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { WrappedRecord } from '../content/keys.ts';
import { openSlot, type SlotKind, type SlotSecret } from '../content/slot.ts';
import { isUsable, type StoredSlot, type UsableSlot } from './stored-slots.ts';

/** Passphrase slots that are tried without asking. */
const UNASKED = 2;

export interface Unlocking {
  /** The archive's name in this dom0's configuration. */
  readonly archive: ArchiveName;
  readonly secret: SlotSecret;
  /** The only slot to try. */
  readonly slot?: string | undefined;
  /** Asks the user before more slots are tried. @throws if the user declines */
  readonly allowMore: (tried: readonly string[], left: readonly string[]) => Promise<void>;
}

/**
 * @throws `wrong-passphrase`, `integrity` if no slot can be tried or the key is another archive's, `usage` for a slot
 * that does not exist
 */
export async function unlockedRecord(slots: readonly StoredSlot[], unlocking: Unlocking): Promise<WrappedRecord> {
  const { secret, archive, allowMore } = unlocking;
  const fitting = fittingSlots(slots, unlocking);
  let fault: SparsebakError | undefined;
  for (const [at, slot] of fitting.entries()) {
    if (secret.kind === 'passphrase' && at === UNASKED) {
      await allowMore(namesOf(fitting.slice(0, at)), namesOf(fitting.slice(at)));
    }
    let record: WrappedRecord;
    try {
      record = await openSlot(slot.data, secret);
    } catch (caught) {
      // Also a slot that opens and contains no record: its forger learns from our behaviour only that no slot opened.
      fault = graver(fault, asSparsebakError(caught));
      continue;
    }
    return ofArchive(record, slot, archive);
  }
  throw fault ?? new SparsebakError('failed', 'no key slot was tried');
}

function graver(one: SparsebakError | undefined, other: SparsebakError): SparsebakError {
  return one === undefined || one.code === 'wrong-passphrase' ? other : one;
}

/** Slots that the secret may open, by name; never empty. */
function fittingSlots(
  slots: readonly StoredSlot[],
  { secret, slot: only }: Pick<Unlocking, 'secret' | 'slot'>,
): UsableSlot[] {
  const wanted = only === undefined ? slots : slots.filter(({ name }) => name === only);
  if (wanted.length === 0 && only !== undefined) {
    throw new SparsebakError('usage', `there is no key slot "${only}"`, {
      hint: `There are: ${namesOf(slots).join(', ') || 'none'}.`,
    });
  }
  const fitting = wanted.filter(isUsable).filter(({ kind }) => kind === secret.kind);
  if (fitting.length > 0) return fitting;
  const damaged = wanted.flatMap((slot) => (isUsable(slot) ? [] : [slot.fault.message]));
  if (damaged.length > 0) {
    throw new SparsebakError('integrity', damaged.join('; '), {
      hint:
        'Use another slot; or put back the copy of this one that the backup VM keeps for some time: see ' +
        'docs/damage.md.',
    });
  }
  if (slots.length === 0) {
    throw new SparsebakError('integrity', 'the archive has no key slot', {
      hint: 'Without one, only a computer that knows the archive can open it: run "sparsebak key add" there.',
    });
  }
  throw new SparsebakError(
    'usage',
    `${only === undefined ? 'the archive has no slot' : `slot "${only}" is not`} for a ${describeKind(secret.kind)}`,
  );
}

/** The record is authentic, and so is the archive's name in it, if it has one. */
function ofArchive(record: WrappedRecord, { name: slot }: UsableSlot, archive: ArchiveName): WrappedRecord {
  if (record.name === undefined || record.name === archive) return record;
  throw new SparsebakError(
    'integrity',
    `key slot "${slot}" belongs to archive "${record.name}", which was shown in place of "${archive}"`,
    {
      hint:
        `If you renamed the archive's folder in the backup VM, give it its old name back. Otherwise do not ` +
        'trust the backup VM.',
    },
  );
}

export function describeKind(kind: SlotKind): string {
  return kind === 'recovery' ? 'recovery key' : 'passphrase';
}

function namesOf(slots: readonly StoredSlot[]): string[] {
  return slots.map(({ name }) => name);
}
