/** `key unlock`: opens an archive on a dom0 that does not know it, or knows a fork of it. */
import { SparsebakError } from '../../../shared/errors.ts';
import type { WrappedRecord } from '../../content/keys.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { lineOf, type ArchiveLine } from '../../proven-archive/archive-line.ts';
import { connect, openArchive } from '../../proven-archive/open-archive.ts';
import { setAside, type SetAside } from '../../proven-archive/set-aside.ts';
import { fetchSlots } from '../../proven-archive/stored-slots.ts';
import { describeKind, unlockedRecord } from '../../proven-archive/unlock.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../command-context.ts';
import { describeLine } from '../describe-line.ts';
import { print, printJson } from '../output.ts';
import { givenSecret, type KeyOptions } from '../slot-secrets.ts';

export interface UnlockOptions extends KeyOptions {
  readonly slot?: string;
  readonly again?: boolean;
}

/** Opens it by passphrase or recovery key. This dom0 may then read the archive. */
export async function keyUnlock(context: CommandContext, options: UnlockOptions): Promise<number> {
  const { archive, lockWait, signal } = context;
  const { stateDir } = context.config;
  const known = ArchiveState.exists(stateDir, archive.name);
  if (known && options.again !== true) {
    throw new SparsebakError('failed', `this computer already knows archive "${archive.name}"`, {
      hint:
        'There is nothing to unlock. To set aside what this computer knows of it, and open it as it is now, ' +
        'add --again.',
    });
  }
  const record = await recordOf(context, options);
  const before = known ? await setAside(archive.name, { stateDir, lockWait, signal }) : undefined;
  try {
    const line = await takeIn(context, record);
    report(context, record, line, before);
    return 0;
  } catch (error) {
    before?.putBack();
    throw error;
  }
}

/** @throws what opening the archive throws; its state is then removed again */
async function takeIn(context: CommandContext, record: WrappedRecord): Promise<ArchiveLine> {
  const { archive, config, lockWait, signal, log } = context;
  const { codec } = record;
  const level = codec === 'none' ? 0 : 1;
  const state = ArchiveState.create(config.stateDir, archive.name, record, { codec, level, creating: false });
  try {
    const { client, pinned } = await openArchive(archive, state, {
      purpose: 'retrieve',
      lockWait,
      signal,
      log,
      onWait: context.onWait,
    });
    await client.bye();
    return lineOf(pinned);
  } catch (error) {
    state.remove();
    throw error;
  }
}

async function recordOf(context: CommandContext, options: UnlockOptions): Promise<WrappedRecord> {
  const { archive, lockWait } = context;
  const secret = await givenSecret(options);
  const client = await connect(archive, { purpose: 'retrieve', signal: context.signal, onWait: context.onWait });
  try {
    const opened = await client.request({ t: 'open', archive: archive.name, lockWait });
    if (opened.t !== 'opened') throw new SparsebakError('protocol', 'the receiver did not open the archive');
    const slots = await fetchSlots(client, opened.archiveId);
    const record = await unlockedRecord(slots, {
      archive: archive.name,
      secret,
      slot: options.slot,
      allowMore: async (tried, left) => {
        await allowMore(describeKind(secret.kind), tried, left);
      },
    });
    await client.bye();
    return record;
  } finally {
    client.close();
  }
}

async function allowMore(kind: string, tried: readonly string[], left: readonly string[]): Promise<void> {
  const opened = `This ${kind} opens neither ${tried.map((name) => `"${name}"`).join(' nor ')}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new SparsebakError('usage', `${opened}, and more slots are not tried without asking`, {
      hint: `Choose one with --slot: ${left.join(', ')}.`,
    });
  }
  const about =
    `${opened}. The backup VM shows ${left.length} more slots; ` + 'each may take some seconds and 256 MiB of memory.';
  await confirm(about, 'Try them?', false);
}

function report(context: CommandContext, record: WrappedRecord, line: ArchiveLine, before: SetAside | undefined): void {
  const { archive } = context;
  if (record.name === undefined) {
    context.log.warn(
      'the key slot is of an earlier release and does not name its archive: compare the id with what you ' +
        `noted for "${archive.name}"`,
    );
  }
  if (context.json) {
    const aside = before === undefined ? {} : { aside: before.folder, knew: before.line ?? null };
    printJson({ archive: archive.name, ...line, ...aside });
    return;
  }
  print(`Archive "${archive.name}" is open here, for reading.`);
  print(
    'Compare this line with what you noted last, or with "sparsebak key list" on the computer that writes; ' +
      `the archive must have that sequence or a higher one:\n\n    ${describeLine(line)}\n`,
  );
  if (before === undefined) return;
  if (before.line !== undefined) print(`This computer knew:\n\n    ${describeLine(before.line)}\n`);
  print(`Its old state, including the key, is kept in ${before.folder}.`);
}
