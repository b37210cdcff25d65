/** The archive's key slots, as the receiver gives them. Unproven until a secret opens one. */
import { isSlotName, type ArchiveId } from '../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { MAX_SLOTS } from '../../shared/wire/limits.ts';
import { MAX_SLOT_LENGTH, inspectSlot, type SlotKind } from '../content/slot.ts';
import type { ReceiverClient } from '../link/client.ts';

export type StoredSlot =
  | { readonly name: string; readonly kind: SlotKind; readonly data: Uint8Array }
  | { readonly name: string; readonly kind: 'damaged'; readonly fault: SparsebakError };

export type UsableSlot = Exclude<StoredSlot, { kind: 'damaged' }>;

/** @param archive to which the slots must belong. @throws `protocol` for more slots than an archive can have */
export async function fetchSlots(client: ReceiverClient, archive: ArchiveId): Promise<StoredSlot[]> {
  const slots: StoredSlot[] = [];
  await client.request({ t: 'get-slots' }, (item) => {
    if (item.t !== 'slot' && item.t !== 'lost') return;
    if (slots.length === MAX_SLOTS || !isSlotName(item.name) || slots.some(({ name }) => name === item.name)) {
      throw new SparsebakError('protocol', `the receiver lists more than ${MAX_SLOTS} key slots, or one twice`);
    }
    if (item.t === 'lost') slots.push(damagedSlot(item.name, lost(item.message)));
    // A longer slot is damaged in any case.
    else slots.push(storedSlot(item.name, Uint8Array.from(item.data.subarray(0, MAX_SLOT_LENGTH + 1)), archive));
  });
  return slots;
}

function storedSlot(name: string, data: Uint8Array, archive: ArchiveId): StoredSlot {
  try {
    const slot = inspectSlot(data);
    if (slot.archive !== archive) throw new SparsebakError('integrity', 'it belongs to another archive');
    return { name, kind: slot.kind, data };
  } catch (error) {
    return damagedSlot(name, asSparsebakError(error, 'integrity'));
  }
}

function lost(message: string): SparsebakError {
  return new SparsebakError('integrity', escapeText(message, 300));
}

function damagedSlot(name: string, cause: SparsebakError): StoredSlot {
  const fault = new SparsebakError('integrity', `key slot "${name}" is damaged: ${cause.message}`, {
    hint: `Add another with "sparsebak key add", then run "sparsebak key remove ${name}".`,
    cause,
  });
  return { name, kind: 'damaged', fault };
}

export function isUsable(slot: StoredSlot): slot is UsableSlot {
  return slot.kind !== 'damaged';
}
