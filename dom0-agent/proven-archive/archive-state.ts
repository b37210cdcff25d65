/**
 * What dom0 keeps of one archive, in `<state_dir>/archives/<name>/`: the key, the compression, the writer id, the last
 * used sequence, and the pin (pin.ts). If it is lost, the passphrase and a full compare replace it; if it leaks, the
 * archive is no longer secret.
 */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import {
  isId,
  isSessionName,
  nextSessionName,
  type ArchiveName,
  type SessionName,
} from '../../shared/archive/names.ts';
import { makeFolderDurably, removeDurably, writeDurably } from '../../shared/durable.ts';
import { SparsebakError, asSparsebakError, systemCode } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import { ArchiveContent } from '../content/archive-content.ts';
import { decodeRecord, encodeRecord, type WrappedRecord } from '../content/keys.ts';
import { forbidden, isForbidden, mustBeAccessible } from './state-access.ts';

const settings = z.strictObject({
  v: z.literal(1),
  /** The id of this dom0 as a writer to the archive. */
  writer: z.string().check(z.refine(isId)),
  codec: z.enum(['none', 'gzip', 'zstd']),
  level: z.int(),
  /** Set until the receiver is known to have the archive. */
  creating: z._default(z.boolean(), false),
});
export type ArchiveSettings = z.infer<typeof settings>;

export class ArchiveState {
  readonly folder: string;
  readonly record: WrappedRecord;
  readonly settings: ArchiveSettings;
  readonly content: ArchiveContent;

  private constructor(folder: string, record: WrappedRecord, archiveSettings: ArchiveSettings) {
    this.folder = folder;
    this.record = record;
    this.settings = archiveSettings;
    this.content = new ArchiveContent(record);
  }

  /**
   * @throws `config` if this dom0 does not know the archive or may not read its state, `integrity` if the state is
   * damaged
   */
  static open(stateDir: string, name: ArchiveName): ArchiveState {
    const folder = archiveFolder(stateDir, name);
    try {
      const archiveSettings = settings.parse(JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8')));
      const record = decodeRecord(readFileSync(join(folder, 'record')));
      if (record.name !== undefined && record.name !== name) throw ofAnother(folder, record.name);
      return new ArchiveState(folder, record, archiveSettings);
    } catch (error) {
      throw unreadable(folder, name, error);
    }
  }

  /** @throws `config` if this user has no access */
  static exists(stateDir: string, name: ArchiveName): boolean {
    const folder = archiveFolder(stateDir, name);
    try {
      readFileSync(join(folder, 'settings.json'));
      return true;
    } catch (error) {
      if (isForbidden(error)) throw forbidden(folder, error);
      return false;
    }
  }

  /** Writes a new archive's state, durably; settings last, so that an incomplete state does not count as an archive. */
  static create(
    stateDir: string,
    name: ArchiveName,
    record: WrappedRecord,
    choice: { codec: ArchiveSettings['codec']; level: number; creating: boolean },
  ): ArchiveState {
    const folder = archiveFolder(stateDir, name);
    mustBeAccessible(stateDir);
    makeFolderDurably(folder);
    writeDurably(join(folder, 'record'), encodeRecord(record));
    const archiveSettings: ArchiveSettings = { v: 1, writer: randomBytes(16).toString('hex'), ...choice };
    const state = new ArchiveState(folder, record, archiveSettings);
    state.#writeSettings();
    return state;
  }

  /** The receiver has the archive: `init` is over. */
  created(): void {
    this.settings.creating = false;
    this.#writeSettings();
  }

  /** Whether another state has replaced this one since it was opened: the archive was set aside. */
  isReplaced(name: ArchiveName): boolean {
    const stateDir = dirname(dirname(this.folder));
    if (!ArchiveState.exists(stateDir, name)) return true;
    const { record, settings: now } = ArchiveState.open(stateDir, name);
    return record.archive !== this.record.archive || now.writer !== this.settings.writer;
  }

  /** Forgets the archive (an `init` that the receiver refused). */
  remove(): void {
    removeDurably(join(this.folder, 'settings.json'));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Takes the next sequence, above `atLeast`; durable before it is used, so that no two catalogues ever have the same.
   */
  burnSequence(atLeast: number): number {
    return this.#burn(atLeast, this.#burned().session).sequence;
  }

  /**
   * Takes the next sequence and session name. Both are durable before they are used: a head signs its session's name,
   * and if a failed send and the next one used the same name, the receiver could show either head.
   * @param newest proven newest session of the archive
   * @param now in milliseconds since 1970
   */
  burnSession(
    atLeast: number,
    newest: SessionName | undefined,
    now: number,
  ): { sequence: number; session: SessionName } {
    const latest = [newest, this.#burned().session]
      .filter((name) => name !== undefined)
      .sort()
      .at(-1);
    const session = nextSessionName(now, latest);
    return { ...this.#burn(atLeast, session), session };
  }

  /** The highest sequence that this dom0 has taken. */
  get burnedSequence(): number {
    return this.#burned().sequence;
  }

  #burn(atLeast: number, session: SessionName | undefined): { sequence: number } {
    const sequence = Math.max(this.#burned().sequence, atLeast) + 1;
    writeDurably(
      join(this.folder, 'sequence'),
      `${[sequence, ...(session === undefined ? [] : [session])].join(' ')}\n`,
    );
    return { sequence };
  }

  #burned(): { sequence: number; session: SessionName | undefined } {
    const file = join(this.folder, 'sequence');
    try {
      const [number, session = ''] = readFileSync(file, 'utf8').trim().split(' ');
      const sequence = Number(number);
      return {
        sequence: Number.isSafeInteger(sequence) && sequence >= 0 ? sequence : 0,
        session: isSessionName(session) ? session : undefined,
      };
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return { sequence: 0, session: undefined };
      throw asSparsebakError(error, 'io', `dom0's state, ${file}`);
    }
  }

  #writeSettings(): void {
    writeDurably(join(this.folder, 'settings.json'), `${JSON.stringify(this.settings, null, 2)}\n`);
  }
}

export function archiveFolder(stateDir: string, name: ArchiveName): string {
  return join(stateDir, 'archives', name);
}

function unreadable(folder: string, name: ArchiveName, error: unknown): SparsebakError {
  if (systemCode(error) === 'ENOENT') {
    return new SparsebakError('config', `this computer does not know archive "${name}"`, {
      hint: `Create it with "sparsebak init", or open an existing one with "sparsebak key unlock".`,
      cause: error,
    });
  }
  if (isForbidden(error)) return forbidden(folder, error);
  if (error instanceof SparsebakError && error.code === 'config') return error;
  return new SparsebakError('integrity', `the state of archive "${name}" in ${folder} is damaged`, {
    hint: `Put it back from a copy, or open the archive again with "sparsebak key unlock --again".`,
    cause: error,
  });
}

function ofAnother(folder: string, other: ArchiveName): SparsebakError {
  return new SparsebakError('config', `the state in ${folder} is that of archive "${other}"`, {
    hint:
      'An archive cannot be renamed: use that name in the configuration, and for the folder in the state and ' +
      'the one at the destination too.',
  });
}
