/** `key`: who can open the archive: its slots, and taking it in on a dom0 that does not know it. */
import { readFileSync } from 'node:fs';
import { SparsebakError, asSparsebakError } from '../../../shared/errors.ts';
import { isSlotName } from '../../../shared/archive/names.ts';
import { formatRecoveryKey, newRecoveryKey, parseRecoveryKey } from '../../content/recovery-key.ts';
import { MAX_SLOT_LENGTH, inspectSlot, openSlot, sealSlot, type SlotSecret } from '../../content/slot.ts';
import type { WrappedRecord } from '../../content/keys.ts';
import type { ReceiverClient } from '../../link/client.ts';
import { ArchiveState } from '../../trust/archive-state.ts';
import { connect, openArchive } from '../../trust/open-archive.ts';
import type { CommandContext } from '../context.ts';
import { formatTable, print, printJson } from '../output.ts';
import { askHidden, readPassphrase, type PassphraseOptions } from '../secrets.ts';
import { withArchive } from '../with-archive.ts';
import { givenPath } from '../working-folder.ts';

export interface KeyOptions extends PassphraseOptions {
  readonly recoveryKeyFile?: string;
  readonly recovery?: boolean;
}

/** Key slots of one archive. Trying a passphrase on each must end. */
const MAX_SLOTS = 16;

interface StoredSlot {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Lists the slots; what they say of themselves is not proven. */
export async function keyList(context: CommandContext): Promise<number> {
  return withArchive(context, 'retrieve', async ({ client }) => {
    const slots = (await fetchSlots(client)).map(({ name, data }) => ({ name, kind: kindOf(data) }));
    if (context.json) printJson({ slots });
    else
      print(
        formatTable(
          ['SLOT', 'OPENED BY'],
          slots.map(({ name, kind }) => [name, kind]),
        ),
      );
    return 0;
  });
}

/** Adds a passphrase or a recovery key. */
export async function keyAdd(context: CommandContext, name: string | undefined, options: KeyOptions): Promise<number> {
  return withArchive(context, 'receive', async ({ client, state }) => {
    const taken = (await fetchSlots(client)).map((slot) => slot.name);
    if (taken.length >= MAX_SLOTS) {
      throw new SparsebakError('usage', `the archive has ${MAX_SLOTS} key slots already`, {
        hint: 'Remove one first, with "key remove".',
      });
    }
    const kind = options.recovery === true ? 'recovery' : 'passphrase';
    const slot = name ?? freeName(kind, taken);
    checkSlotName(slot);
    if (taken.includes(slot)) {
      throw new SparsebakError('usage', `there is a slot "${slot}" already`, {
        hint: 'Choose another name, or change it with "key change".',
      });
    }
    const { secret, shown } = await newSecret(kind, options);
    await client.request({ t: 'put-slot', name: slot, data: await sealSlot(state.record, secret) });
    report(context, slot, 'added', shown);
    return 0;
  });
}

/** Replaces a passphrase. */
export async function keyChange(context: CommandContext, name: string, options: KeyOptions): Promise<number> {
  return withArchive(context, 'receive', async ({ client, state }) => {
    const slot = (await fetchSlots(client)).find((entry) => entry.name === name);
    if (slot === undefined)
      throw new SparsebakError('usage', `there is no slot "${name}"`, { hint: 'See "sparsebak key list".' });
    const { secret, shown } = await newSecret(
      kindOf(slot.data) === 'recovery key' ? 'recovery' : 'passphrase',
      options,
    );
    await client.request({ t: 'put-slot', name, data: await sealSlot(state.record, secret) });
    report(context, name, 'changed', shown);
    if (!context.json) {
      print(
        'This keeps out only those who never had the old slot: a backup VM may have kept it. If the old secret leaked,\nmake a new archive beside this one and send to that.',
      );
    }
    return 0;
  });
}

export async function keyRemove(context: CommandContext, name: string): Promise<number> {
  return withArchive(context, 'receive', async ({ client }) => {
    const slots = await fetchSlots(client);
    if (!slots.some((slot) => slot.name === name)) {
      throw new SparsebakError('usage', `there is no slot "${name}"`, { hint: 'See "sparsebak key list".' });
    }
    if (slots.length === 1) {
      throw new SparsebakError(
        'usage',
        `"${name}" is the last slot: without one, a new dom0 could never open the archive`,
        {
          hint: 'Add another first.',
        },
      );
    }
    await client.request({ t: 'drop-slot', name });
    report(context, name, 'removed', undefined);
    return 0;
  });
}

/** Takes in an archive on a dom0 that does not know it, by passphrase or recovery key. This dom0 may then read it. */
export async function keyUnlock(context: CommandContext, options: KeyOptions): Promise<number> {
  const { archive, config } = context;
  if (ArchiveState.exists(config.stateDir, archive.name)) {
    throw new SparsebakError('failed', `archive "${archive.name}" is known here already`, {
      hint: 'There is nothing to unlock.',
    });
  }
  const record = await unlockedRecord(context, options);
  const codec = record.codec;
  const state = ArchiveState.create(config.stateDir, archive.name, record, {
    codec,
    level: codec === 'none' ? 0 : 1,
    creating: false,
  });
  try {
    const { client, pinned } = await openArchive(archive, state, {
      purpose: 'retrieve',
      lockWait: context.lockWait,
      signal: context.signal,
      onWait: context.onWait,
    });
    await client.bye();
    const { sequence } = pinned.catalogue;
    const hash = Buffer.from(pinned.hash).toString('hex');
    if (context.json) printJson({ archive: archive.name, id: record.archive, sequence, hash });
    else {
      print(`Archive "${archive.name}" is open here, for reading.`);
      print(
        `Compare with what you noted last; the archive must be at that or above:\n\n    ${record.archive}  ${sequence}  ${hash}\n`,
      );
    }
    return 0;
  } catch (error) {
    state.remove();
    throw error;
  }
}

async function unlockedRecord(context: CommandContext, options: KeyOptions): Promise<WrappedRecord> {
  const { archive } = context;
  const client = await connect(archive, { purpose: 'retrieve', signal: context.signal, onWait: context.onWait });
  try {
    await client.request({ t: 'open', archive: archive.name, lockWait: context.lockWait });
    const slots = await fetchSlots(client);
    if (slots.length === 0)
      throw new SparsebakError('integrity', 'the archive has no key slot', {
        hint: 'Without one, only the dom0 that made it can open it.',
      });
    const secret = await givenSecret(options);
    const record = await openAny(slots, secret);
    await client.bye();
    return record;
  } finally {
    client.close();
  }
}

/** A wrong secret and a damaged slot tell themselves apart: the first slot of its kind that is whole decides. */
async function openAny(slots: readonly StoredSlot[], secret: SlotSecret): Promise<WrappedRecord> {
  let wrong: SparsebakError | undefined;
  let damaged: SparsebakError | undefined;
  for (const slot of slots) {
    try {
      if (inspectSlot(slot.data).kind === secret.kind) return await openSlot(slot.data, secret);
    } catch (caught) {
      const error = asSparsebakError(caught);
      if (error.code === 'wrong-passphrase') wrong = error;
      else
        damaged = new SparsebakError('integrity', `slot "${slot.name}" is damaged: ${error.message}`, {
          hint: 'Use another slot.',
          cause: error,
        });
    }
  }
  throw (
    wrong ??
    damaged ??
    new SparsebakError(
      'usage',
      `the archive has no slot for a ${secret.kind === 'recovery' ? 'recovery key' : 'passphrase'}`,
    )
  );
}

async function givenSecret(options: KeyOptions): Promise<SlotSecret> {
  if (options.recoveryKeyFile !== undefined) {
    return { kind: 'recovery', key: parseRecoveryKey(readText(options.recoveryKeyFile)) };
  }
  if (options.recovery === true) return { kind: 'recovery', key: parseRecoveryKey(await askHidden('Recovery key')) };
  const passphrase = await readPassphrase(options, 'Passphrase', false);
  if (passphrase !== undefined) return { kind: 'passphrase', passphrase };
  throw new SparsebakError('usage', 'a passphrase or recovery key is needed', {
    hint: 'Off a terminal, give --passphrase-file, --passphrase-command or --recovery-key-file.',
  });
}

async function newSecret(
  kind: 'passphrase' | 'recovery',
  options: KeyOptions,
): Promise<{ secret: SlotSecret; shown: string | undefined }> {
  if (kind === 'recovery') {
    const key = newRecoveryKey();
    return { secret: { kind, key }, shown: formatRecoveryKey(key) };
  }
  const passphrase = await readPassphrase(options, 'New passphrase', true);
  if (passphrase !== undefined) return { secret: { kind, passphrase }, shown: undefined };
  throw new SparsebakError('usage', 'a new passphrase is needed', {
    hint: 'Off a terminal, give --passphrase-file or --passphrase-command.',
  });
}

async function fetchSlots(client: ReceiverClient): Promise<StoredSlot[]> {
  const slots: StoredSlot[] = [];
  await client.request({ t: 'get-slots' }, (item) => {
    if (item.t !== 'slot') return;
    if (slots.length === MAX_SLOTS || slots.some(({ name }) => name === item.name)) {
      throw new SparsebakError('protocol', `the receiver lists more than ${MAX_SLOTS} key slots, or one twice`);
    }
    // A longer one is damaged, whatever follows.
    slots.push({ name: item.name, data: Uint8Array.from(item.data.subarray(0, MAX_SLOT_LENGTH + 1)) });
  });
  return slots;
}

function kindOf(data: Uint8Array): string {
  try {
    return inspectSlot(data).kind === 'recovery' ? 'recovery key' : 'passphrase';
  } catch {
    return 'DAMAGED';
  }
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

function readText(path: string): string {
  try {
    return readFileSync(givenPath(path), 'utf8');
  } catch (error) {
    if (error instanceof SparsebakError) throw error;
    throw new SparsebakError('usage', `${path} cannot be read`, {
      hint: 'Check its name and permissions.',
      cause: error,
    });
  }
}

function report(context: CommandContext, slot: string, what: string, recoveryKey: string | undefined): void {
  if (context.json) printJson({ slot, [what]: true, ...(recoveryKey === undefined ? {} : { recoveryKey }) });
  else {
    print(`Slot "${slot}" was ${what}.`);
    if (recoveryKey !== undefined) print(`Recovery key, not shown again:\n\n    ${recoveryKey}\n`);
  }
}
