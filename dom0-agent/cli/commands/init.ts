/**
 * `init`: a new archive: id, key and first catalogue durable in dom0, then one `create` that succeeds again if its
 * answer was lost.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SparsebakError, asSparsebakError, type ErrorCode } from '../../../shared/errors.ts';
import { isChunkSize } from '../../../shared/archive/address.ts';
import { makeFolderDurably, removeDurably, writeDurably } from '../../../shared/durable.ts';
import { decodeMap, encodeMap } from '../../../shared/wire/msgpack.ts';
import { LEVELS, type Codec } from '../../content/compression.ts';
import { macOf, newRecord } from '../../content/keys.ts';
import type { MacName } from '../../content/mac-names.ts';
import { formatRecoveryKey, newRecoveryKey } from '../../content/recovery-key.ts';
import { openSlot, sealSlot } from '../../content/slot.ts';
import { misplacedFolder } from '../../capture/misplaced-folder.ts';
import type { Passphrase } from '../../content/passphrase.ts';
import { ArchiveState, archiveFolder } from '../../proven-archive/archive-state.ts';
import { connect } from '../../proven-archive/open-archive.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { mustBeAccessible } from '../../proven-archive/state-access.ts';
import type { SetAside } from '../../proven-archive/set-aside.ts';
import type { CommandContext } from '../command-context.ts';
import { setAsideLost } from '../lost-archive.ts';
import { chooseMac, describeMac, type MacChoice } from '../mac-choice.ts';
import { print, printJson } from '../output.ts';
import { checkSecretFile, writeSecretFile, type SecretFile } from '../secret-file.ts';
import { readPassphrase, type PassphraseOptions } from '../secrets.ts';

export interface InitOptions extends PassphraseOptions {
  readonly encryption: 'on' | 'off';
  readonly compression?: string;
  readonly chunkSize: number;
  readonly dedup: 'on' | 'off';
  readonly identity: 'auto' | MacName;
  readonly recoveryKeyFile?: string;
}

/** The slots as sent: a repeated `init` sends the same bytes. */
const SLOTS_FILE = 'creating';

interface Slot {
  readonly name: string;
  readonly data: Uint8Array;
}

interface Made {
  readonly state: ArchiveState;
  readonly slots: readonly Slot[];
  /** To show to the user. */
  readonly recoveryKey: string | undefined;
  readonly macChoice: MacChoice;
  /** Written by this run. */
  readonly keyFile: SecretFile | undefined;
}

export async function init(context: CommandContext, options: InitOptions): Promise<number> {
  const { archive, config } = context;
  mustBeAccessible(config.stateDir);
  const known = ArchiveState.exists(config.stateDir, archive.name);
  const before = known ? ArchiveState.open(config.stateDir, archive.name) : undefined;
  if (before?.settings.creating === true) {
    await begin(context, options, before, undefined);
    await warnOfMisplacedFolder(context);
    return 0;
  }
  const aside = before === undefined ? undefined : await setAsideLost(context, before);
  try {
    await begin(context, options, undefined, aside);
  } catch (error) {
    aside?.putBack();
    throw error;
  }
  await warnOfMisplacedFolder(context);
  return 0;
}

/** @param unfinished an earlier `init` that may have made the archive */
async function begin(
  context: CommandContext,
  options: InitOptions,
  unfinished: ArchiveState | undefined,
  aside: SetAside | undefined,
): Promise<void> {
  const { state, slots, recoveryKey, macChoice, keyFile } =
    unfinished === undefined ? await make(context, options) : await resume(context, unfinished, options);
  const pin = new Pin(state);
  const pinned =
    pin.current ??
    pin.begin({
      archive: state.record.archive,
      writer: state.settings.writer,
      sequence: state.burnSequence(0),
      volumes: [],
    });
  const asked = { at: false };
  try {
    await createAtReceiver(context, state, slots, pinned.bytes, asked);
  } catch (caught) {
    // No archive was created there, so its state is removed here: the next try must not find the key of an archive that
    // never existed.
    if (isNotThere(asSparsebakError(caught).code, unfinished !== undefined, asked.at)) {
      state.remove();
      await keyFile?.remove();
    }
    throw caught;
  }
  report(context, { state, recoveryKey, macChoice, aside });
  // Only now: until the recovery key was shown, another init continues this one and shows it.
  state.created();
  removeDurably(join(state.folder, SLOTS_FILE));
}

/** Warns of a folder of sparsebak's inside a pool: the archive is created, but sends will refuse to run. */
async function warnOfMisplacedFolder({ config, log }: CommandContext): Promise<void> {
  const misplaced = await misplacedFolder(config);
  if (misplaced !== undefined) log.warn(`${misplaced.message}: nothing can be sent. ${misplaced.hint ?? ''}`);
}

/** Whether it is certain that neither this failed `init` nor an earlier one has created the archive. */
function isNotThere(code: ErrorCode, resumed: boolean, asked: boolean): boolean {
  // Another archive has the name.
  if (code === 'failed' && asked) return true;
  return !resumed && (!asked || code === 'refused');
}

async function createAtReceiver(
  context: CommandContext,
  state: ArchiveState,
  slots: readonly Slot[],
  catalogue: Uint8Array,
  asked: { at: boolean },
): Promise<void> {
  const { archive } = context;
  const { record } = state;
  const client = await connect(archive, { purpose: 'receive', signal: context.signal, onWait: context.onWait });
  asked.at = true;
  try {
    await client.request({
      t: 'create',
      archive: archive.name,
      archiveId: record.archive,
      chunkSize: record.chunkSize,
      encrypted: record.encrypted,
      dedup: record.dedup,
      slots: [...slots],
      catalogue,
    });
    await client.bye();
  } finally {
    client.close();
  }
}

/** Keys and slots of a new archive, durable in dom0. */
async function make(context: CommandContext, options: InitOptions): Promise<Made> {
  const { archive, config } = context;
  const { codec, level } = choicesOf(options);
  if (options.recoveryKeyFile !== undefined) await checkSecretFile(options.recoveryKeyFile);
  const passphrase = await givenPassphrase(options, true);
  const { mac, choice: macChoice } = chooseMac(options.identity, options.chunkSize);
  const record = newRecord({
    name: archive.name,
    encrypted: options.encryption === 'on',
    codec,
    chunkSize: options.chunkSize,
    dedup: options.dedup === 'on',
    mac,
  });
  const slots: Slot[] = [];
  if (passphrase !== undefined) {
    slots.push({ name: 'passphrase', data: await sealSlot(record, { kind: 'passphrase', passphrase }) });
  }
  const key = newRecoveryKey();
  slots.push({ name: 'recovery', data: await sealSlot(record, { kind: 'recovery', key }) });
  const recoveryKey = formatRecoveryKey(key);
  context.throwIfInterrupted();
  const { recoveryKeyFile: path } = options;
  const keyFile = path === undefined ? undefined : await writeSecretFile(path, `${recoveryKey}\n`);
  // The slots are written before the state that refers to them. A recovery key that was not shown yet must still be
  // shown after a crash.
  const folder = archiveFolder(config.stateDir, archive.name);
  const shown = options.recoveryKeyFile === undefined ? recoveryKey : undefined;
  makeFolderDurably(folder);
  writeDurably(join(folder, SLOTS_FILE), encodeMap({ slots, recoveryKey: shown ?? '' }));
  const state = ArchiveState.create(config.stateDir, archive.name, record, { codec, level, creating: true });
  return { state, slots, recoveryKey: shown, macChoice, keyFile };
}

function choicesOf(options: InitOptions): { codec: Codec; level: number } {
  if (!isChunkSize(options.chunkSize)) {
    throw new SparsebakError('usage', '--chunk-size must be a power of two from 64K to 4M', {
      hint: 'The default is 256K.',
    });
  }
  return parseCompression(options);
}

async function givenPassphrase(options: InitOptions, confirm: boolean): Promise<Passphrase | undefined> {
  const passphrase = await readPassphrase(options, 'Passphrase for the archive', confirm);
  if (passphrase !== undefined || options.recoveryKeyFile !== undefined) return passphrase;
  throw new SparsebakError('usage', 'the archive needs a passphrase or a recovery key', {
    hint: 'Without a terminal, give --passphrase-file, --passphrase-command or --recovery-key-file.',
  });
}

/**
 * An `init` whose answer was lost continues with the very same archive, which the receiver may already have. So its
 * options must be the same as before.
 */
async function resume(context: CommandContext, state: ArchiveState, options: InitOptions): Promise<Made> {
  const { codec, level } = choicesOf(options);
  const { record, settings } = state;
  const same =
    record.encrypted === (options.encryption === 'on') &&
    record.chunkSize === options.chunkSize &&
    record.dedup === (options.dedup === 'on') &&
    (options.identity === 'auto' || options.identity === macOf(record)) &&
    settings.codec === codec &&
    settings.level === level;
  if (!same) throw unfinishedOtherwise(context, state, 'options');
  const { slots, recoveryKey } = decodeMap(readFileSync(join(state.folder, SLOTS_FILE)));
  const passphrase = await givenPassphrase(options, false);
  const slot = (slots as Slot[]).find(({ name }) => name === 'passphrase');
  if ((passphrase === undefined) !== (slot === undefined)) throw unfinishedOtherwise(context, state, 'secrets');
  if (passphrase !== undefined && slot !== undefined) {
    try {
      await openSlot(slot.data, { kind: 'passphrase', passphrase });
    } catch (error) {
      if (asSparsebakError(error).code !== 'wrong-passphrase') throw error;
      throw unfinishedOtherwise(context, state, 'passphrase');
    }
  }
  return {
    state,
    slots: slots as Slot[],
    recoveryKey: recoveryKey === '' ? undefined : (recoveryKey as string),
    macChoice: { by: 'earlier-init' },
    keyFile: undefined,
  };
}

function unfinishedOtherwise({ archive }: CommandContext, { folder }: ArchiveState, what: string): SparsebakError {
  return new SparsebakError('usage', `an earlier init of archive "${archive.name}" with other ${what} did not finish`, {
    hint: `Run it with those options. To start over, remove ${folder} and what it created at the destination.`,
  });
}

/** `zstd[:N]`, `gzip[:N]` or `none`. */
export function parseCompression({ compression, encryption }: Pick<InitOptions, 'compression' | 'encryption'>): {
  codec: Codec;
  level: number;
} {
  // A plain archive is meant to be restored with a shell, and every system has gzip.
  const text = compression ?? (encryption === 'on' ? 'zstd' : 'gzip');
  const match = /^(zstd|gzip|none)(?::(\d{1,2}))?$/.exec(text);
  const codec = match?.[1] as Codec | undefined;
  if (codec !== undefined) {
    const [lowest, highest] = LEVELS[codec];
    const level = match?.[2] === undefined ? lowest : Number(match[2]);
    if (level >= lowest && level <= highest) return { codec, level };
  }
  throw new SparsebakError('usage', `--compression ${text} is not supported`, {
    hint: 'Use zstd, zstd:1 to zstd:19, gzip, gzip:1 to gzip:9, or none.',
  });
}

interface Result extends Pick<Made, 'state' | 'recoveryKey' | 'macChoice'> {
  readonly aside: SetAside | undefined;
}

function report(context: CommandContext, { state, recoveryKey, macChoice, aside }: Result): void {
  const { record } = state;
  if (context.json) {
    printJson({
      archive: context.archive.name,
      id: record.archive,
      encrypted: record.encrypted,
      chunkSize: record.chunkSize,
      dedup: record.dedup,
      identity: macOf(record),
      ...(macChoice.by === 'speed' ? { identityRates: macChoice.rates } : {}),
      ...(recoveryKey === undefined ? {} : { recoveryKey }),
      ...(aside === undefined ? {} : { aside: aside.folder }),
    });
    return;
  }
  print(`Archive "${context.archive.name}" is ready (id ${record.archive}).`);
  print(describeMac(macOf(record), macChoice));
  if (aside !== undefined) {
    print(
      'It is new and has nothing of the old one: begin with "sparsebak send --full". What this computer knew of the ' +
        `old one,\nincluding its key, is kept in ${aside.folder}.`,
    );
  }
  if (recoveryKey === undefined) return;
  print(
    '\nRecovery key: write it on paper and keep it away from this computer. It opens the archive without the ' +
      `passphrase,\nand is not shown again:\n\n    ${recoveryKey}\n`,
  );
}
