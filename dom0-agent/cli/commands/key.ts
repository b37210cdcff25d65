/** `key`: the key slots, by which passphrases and recovery keys open the archive. */
import { SparsebakError } from '../../../shared/errors.ts';
import { isSlotName, type ArchiveName } from '../../../shared/archive/names.ts';
import type { WrappedRecord } from '../../content/keys.ts';
import { sealSlot, type SlotKind } from '../../content/slot.ts';
import { lineOf } from '../../proven-archive/archive-line.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import { fetchSlots, isUsable, type StoredSlot } from '../../proven-archive/stored-slots.ts';
import { MAX_SLOTS } from '../../../shared/wire/limits.ts';
import { describeKind } from '../../proven-archive/unlock.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../command-context.ts';
import { describeLine } from '../describe-line.ts';
import { formatTable, print, printJson } from '../output.ts';
import { newSecret, type KeyOptions } from '../slot-secrets.ts';
import { withArchive } from '../with-archive.ts';

/** Lists the slots (unverified, as the receiver shows them) and the line that `key unlock` asks to compare. */
export async function keyList(context: CommandContext): Promise<number> {
  return withArchive(context, 'retrieve', async (archive) => {
    const slots = (await slotsOf(archive)).map((slot) => ({ name: slot.name, kind: kindOf(slot) }));
    const line = lineOf(archive.pinned);
    if (context.json) printJson({ slots, line });
    else {
      const rows = slots.map(({ name, kind }) => [name, kind]);
      print(formatTable(['SLOT', 'OPENED BY'], rows));
      print(`\nArchive id, sequence and hash, to note and to compare after "key unlock":\n\n    ${describeLine(line)}`);
    }
    return 0;
  });
}

/** Adds a passphrase or a recovery key. */
export async function keyAdd(context: CommandContext, name: string | undefined, options: KeyOptions): Promise<number> {
  return withArchive(context, 'receive', async (archive) => {
    const taken = (await slotsOf(archive)).map((slot) => slot.name);
    if (taken.length >= MAX_SLOTS) {
      throw new SparsebakError('usage', `the archive already has ${MAX_SLOTS} key slots`, {
        hint: 'First remove one with "key remove".',
      });
    }
    const kind = options.recovery === true ? 'recovery' : 'passphrase';
    const slot = name ?? freeName(kind, taken);
    checkSlotName(slot);
    if (taken.includes(slot)) {
      throw new SparsebakError('usage', `there is already a slot "${slot}"`, {
        hint: 'Choose another name, or change it with "key change".',
      });
    }
    const shown = await putSlot(context, archive, slot, kind, options);
    report(context, slot, 'added', shown);
    return 0;
  });
}

/** Replaces a passphrase, or a recovery key. */
export async function keyChange(context: CommandContext, name: string, options: KeyOptions): Promise<number> {
  return withArchive(context, 'maintain', async (archive) => {
    const slot = slotNamed(await slotsOf(archive), name);
    if (!isUsable(slot)) throw slot.fault;
    const shown = await putSlot(context, archive, name, slot.kind, options);
    report(context, name, 'changed', shown);
    if (!context.json) {
      print(
        'This does not lock out anyone who has a copy of the old slot: a backup VM may have kept one. If the old ' +
          'secret leaked,\nmake a new archive beside this one and send to that.',
      );
    }
    return 0;
  });
}

export async function keyRemove(
  context: CommandContext,
  name: string,
  { yes = false }: { readonly yes?: boolean },
): Promise<number> {
  return withArchive(context, 'maintain', async (archive) => {
    const slots = await slotsOf(archive);
    const slot = slotNamed(slots, name);
    if (!slots.some((other) => other !== slot && isUsable(other))) {
      throw new SparsebakError(
        'usage',
        `"${name}" is the last slot: without one, a new dom0 could never open the archive`,
        { hint: 'First add another with "key add".' },
      );
    }
    const about =
      'The archive can then no longer be opened with the ' +
      `${kindOf(slot)} of slot "${name}". The receiver keeps a copy of the slot for some time, 30 days by ` +
      'default ("sparsebak-receiver kept").';
    await confirm(isUsable(slot) ? about : `${slot.fault.message}.`, `Remove slot ${name}?`, yes);
    await archive.client.request({ t: 'drop-slot', name });
    report(context, name, 'removed', undefined);
    return 0;
  });
}

/** @returns the recovery key to show */
async function putSlot(
  { archive: { name: archive } }: CommandContext,
  { client, state }: OpenArchive,
  name: string,
  kind: SlotKind,
  options: KeyOptions,
): Promise<string | undefined> {
  const { secret, shown } = await newSecret(kind, options);
  await client.request({ t: 'put-slot', name, data: await sealSlot(named(state.record, archive), secret) });
  return shown;
}

/** Adds the archive's name, so that new slots of an older archive say to which archive they belong. */
function named(record: WrappedRecord, archive: ArchiveName): WrappedRecord {
  return { ...record, name: archive };
}

async function slotsOf({ client, state }: OpenArchive): Promise<StoredSlot[]> {
  return await fetchSlots(client, state.record.archive);
}

function slotNamed(slots: readonly StoredSlot[], name: string): StoredSlot {
  const found = slots.find((slot) => slot.name === name);
  if (found !== undefined) return found;
  throw new SparsebakError('usage', `there is no slot "${name}"`, { hint: 'See "sparsebak key list".' });
}

function kindOf(slot: StoredSlot): string {
  return isUsable(slot) ? describeKind(slot.kind) : 'DAMAGED';
}

function freeName(kind: string, taken: readonly string[]): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? kind : `${kind}-${number}`;
    if (!taken.includes(name)) return name;
  }
}

function checkSlotName(name: string): void {
  if (isSlotName(name)) return;
  throw new SparsebakError('usage', `"${name}" cannot be a slot's name`, { hint: 'Use 1 to 32 of a-z, 0-9 and -.' });
}

function report(context: CommandContext, slot: string, what: string, recoveryKey: string | undefined): void {
  if (context.json) printJson({ slot, [what]: true, ...(recoveryKey === undefined ? {} : { recoveryKey }) });
  else {
    print(`Slot "${slot}" was ${what}.`);
    if (recoveryKey !== undefined) print(`Recovery key, not shown again:\n\n    ${recoveryKey}\n`);
  }
}
