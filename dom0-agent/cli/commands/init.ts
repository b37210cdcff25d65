/** `init`: a new archive: id, key and first catalogue durable in dom0, then one `create` that succeeds again if its answer was lost. */
import { existsSync, openSync, closeSync, fsyncSync, writeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SparsebakError } from '../../../shared/errors.ts';
import { isChunkSize } from '../../../shared/archive/address.ts';
import { removeDurably, writeDurably } from '../../../shared/durable.ts';
import { decodeMap, encodeMap } from '../../../shared/wire/msgpack.ts';
import { LEVELS, type Codec } from '../../content/codec.ts';
import { newRecord } from '../../content/keys.ts';
import { formatRecoveryKey, newRecoveryKey } from '../../content/recovery-key.ts';
import { sealSlot } from '../../content/slot.ts';
import { ArchiveState } from '../../trust/archive-state.ts';
import { connect } from '../../trust/open-archive.ts';
import { Pin } from '../../trust/pin.ts';
import type { CommandContext } from '../context.ts';
import { print, printJson } from '../output.ts';
import { readPassphrase, type PassphraseOptions } from '../secrets.ts';

export interface InitOptions extends PassphraseOptions {
  readonly encryption: 'on' | 'off';
  readonly compression?: string;
  readonly chunkSize: number;
  readonly dedup: 'on' | 'off';
  readonly recoveryKeyFile?: string;
}

/** The slots as they were sent: an `init` that is repeated sends the same bytes. */
const SLOTS_FILE = 'creating';

interface Slot {
  readonly name: string;
  readonly data: Uint8Array;
}

export async function init(context: CommandContext, options: InitOptions): Promise<number> {
  const { archive, config } = context;
  const known = ArchiveState.exists(config.stateDir, archive.name);
  const before = known ? ArchiveState.open(config.stateDir, archive.name) : undefined;
  if (before !== undefined && !before.settings.creating) {
    throw new SparsebakError('failed', `archive "${archive.name}" exists already`, {
      hint: 'Begin with "sparsebak send --full", or choose another archive name.',
    });
  }
  const { state, slots, recoveryKey } =
    before === undefined ? await make(context, options) : { ...resume(before), recoveryKey: undefined };
  const pin = new Pin(state);
  const pinned =
    pin.current ??
    pin.begin({
      archive: state.record.archive,
      writer: state.settings.writer,
      sequence: state.burnSequence(0),
      volumes: [],
    });
  try {
    await createAtReceiver(context, state, slots, pinned.bytes);
  } catch (error) {
    // Refused for good: nothing was made there, so nothing stays here, and the next try meets no key of an archive that never was.
    if (error instanceof SparsebakError && ['failed', 'refused'].includes(error.code)) {
      state.remove();
      if (before === undefined && options.recoveryKeyFile !== undefined) removeDurably(options.recoveryKeyFile);
    }
    throw error;
  }
  report(context, state, recoveryKey);
  return 0;
}

async function createAtReceiver(
  context: CommandContext,
  state: ArchiveState,
  slots: readonly Slot[],
  catalogue: Uint8Array,
): Promise<void> {
  const { archive } = context;
  const { record } = state;
  const client = await connect(archive, context.signal);
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
  state.created();
  removeDurably(join(state.folder, SLOTS_FILE));
}

/** Keys and slots of a new archive, durable in dom0. */
async function make(
  context: CommandContext,
  options: InitOptions,
): Promise<{ state: ArchiveState; slots: Slot[]; recoveryKey: string | undefined }> {
  const { archive, config } = context;
  const { codec, level } = parseCompression(options);
  if (!isChunkSize(options.chunkSize)) {
    throw new SparsebakError('usage', '--chunk-size must be a power of two from 64K to 4M', {
      hint: 'The default is 256K.',
    });
  }
  if (options.recoveryKeyFile !== undefined && existsSync(options.recoveryKeyFile)) {
    throw new SparsebakError('usage', `the recovery key file ${options.recoveryKeyFile} exists already`, {
      hint: 'It is never overwritten: name another, or move it away.',
    });
  }
  const passphrase = await readPassphrase(options, 'Passphrase for the archive', true);
  if (passphrase === undefined && options.recoveryKeyFile === undefined) {
    throw new SparsebakError('usage', 'the archive needs a passphrase or a recovery key', {
      hint: 'Off a terminal, give --passphrase-file, --passphrase-command or --recovery-key-file.',
    });
  }
  const record = newRecord({
    encrypted: options.encryption === 'on',
    codec,
    chunkSize: options.chunkSize,
    dedup: options.dedup === 'on',
  });
  const slots: Slot[] = [];
  if (passphrase !== undefined) {
    slots.push({ name: 'passphrase', data: await sealSlot(record, { kind: 'passphrase', passphrase }) });
  }
  const key = newRecoveryKey();
  slots.push({ name: 'recovery', data: await sealSlot(record, { kind: 'recovery', key }) });
  const recoveryKey = formatRecoveryKey(key);
  context.throwIfInterrupted();
  if (options.recoveryKeyFile !== undefined) writeSecretFile(options.recoveryKeyFile, recoveryKey);
  const state = ArchiveState.create(config.stateDir, archive.name, record, { codec, level, creating: true });
  writeDurably(join(state.folder, SLOTS_FILE), encodeMap({ slots }));
  return { state, slots, recoveryKey: options.recoveryKeyFile === undefined ? recoveryKey : undefined };
}

/** An `init` whose answer was lost goes on with the very same archive. */
function resume(state: ArchiveState): { state: ArchiveState; slots: Slot[] } {
  const { slots } = decodeMap(readFileSync(join(state.folder, SLOTS_FILE)));
  return { state, slots: slots as Slot[] };
}

function writeSecretFile(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeSync(fd, `${text}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** `zstd[:N]`, `gzip[:N]` or `none`. */
export function parseCompression({ compression, encryption }: Pick<InitOptions, 'compression' | 'encryption'>): {
  codec: Codec;
  level: number;
} {
  // A plain archive is there to be restored with a shell, and every system has gzip.
  const text = compression ?? (encryption === 'on' ? 'zstd' : 'gzip');
  const match = /^(zstd|gzip|none)(?::(\d{1,2}))?$/.exec(text);
  const codec = match?.[1] as Codec | undefined;
  if (codec !== undefined) {
    const [lowest, highest] = LEVELS[codec];
    const level = match?.[2] === undefined ? lowest : Number(match[2]);
    if (level >= lowest && level <= highest) return { codec, level };
  }
  throw new SparsebakError('usage', `--compression ${text} is not one I know`, {
    hint: 'Use zstd, zstd:1 to zstd:19, gzip, gzip:1 to gzip:9, or none.',
  });
}

function report(context: CommandContext, state: ArchiveState, recoveryKey: string | undefined): void {
  const { record } = state;
  if (context.json) {
    printJson({
      archive: context.archive.name,
      id: record.archive,
      encrypted: record.encrypted,
      chunkSize: record.chunkSize,
      dedup: record.dedup,
      ...(recoveryKey === undefined ? {} : { recoveryKey }),
    });
    return;
  }
  print(`Archive "${context.archive.name}" is ready (id ${record.archive}).`);
  if (recoveryKey === undefined) return;
  print(
    `\nRecovery key: write it on paper and keep it away from this computer. It opens the archive without the passphrase,\nand is not shown again:\n\n    ${recoveryKey}\n`,
  );
}
