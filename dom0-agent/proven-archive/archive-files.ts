/**
 * Checks the archive's own files beside its volumes: key slots and catalogue. While dom0 has its state, a restore needs
 * neither.
 */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import type { OpenArchive } from './open-archive.ts';
import { fetchSlots, isUsable } from './stored-slots.ts';

export interface ArchiveFileDamage {
  /** Below the archive's folder. */
  readonly file: string;
  readonly fault: SparsebakError;
}

/** @throws why the connection ended */
export async function damagedFiles({ client, state, catalogueFault }: OpenArchive): Promise<ArchiveFileDamage[]> {
  const found: ArchiveFileDamage[] = [];
  if (catalogueFault !== undefined) found.push({ file: 'catalogue', fault: catalogueFault });
  try {
    const slots = await fetchSlots(client, state.record.archive);
    for (const slot of slots) {
      if (!isUsable(slot)) found.push({ file: `keys/${slot.name}`, fault: slot.fault });
    }
    if (!slots.some(isUsable)) found.push({ file: 'keys', fault: noSlot() });
  } catch (caught) {
    if (client.failure !== undefined) throw client.failure;
    found.push({ file: 'keys', fault: asSparsebakError(caught) });
  }
  return found;
}

function noSlot(): SparsebakError {
  return new SparsebakError('integrity', 'the archive has no key slot that could be opened', {
    hint:
      'While this computer has the key, add one with "sparsebak key add": without a key slot, no other computer ' +
      'can open the archive.',
  });
}
