/**
 * What dom0 keeps of one archive, in `<state_dir>/archives/<name>/`: the key, how to compress, who writes, the burned
 * sequence, and the pin (pin.ts). Losing it costs a passphrase and a full compare; leaking it costs the archive.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import {
  isId,
  isSessionName,
  nextSessionName,
  type ArchiveName,
  type SessionName,
} from '../../shared/archive/names.ts';
import { makeFolderDurably, removeDurably, writeDurably } from '../../shared/durable.ts';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { ArchiveContent } from '../content/archive-content.ts';
import { decodeRecord, encodeRecord, type WrappedRecord } from '../content/keys.ts';

const settings = z.strictObject({
  v: z.literal(1),
  /** This dom0, as the archive's writer. */
  writer: z.string().refine(isId),
  codec: z.enum(['none', 'gzip', 'zstd']),
  level: z.number().int(),
  /** Set until the receiver is known to have the archive. */
  creating: z.boolean().default(false),
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

  /** @throws `config` where this dom0 does not know the archive, `integrity` where its state is damaged */
  static open(stateDir: string, name: ArchiveName): ArchiveState {
    const folder = archiveFolder(stateDir, name);
    try {
      const archiveSettings = settings.parse(JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8')));
      return new ArchiveState(folder, decodeRecord(readFileSync(join(folder, 'record'))), archiveSettings);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') {
        throw new SparsebakError('config', `archive "${name}" is not known here`, {
          hint: `Make it with "sparsebak init", or take in an existing one with "sparsebak key unlock".`,
          cause: error,
        });
      }
      throw new SparsebakError('integrity', `the state of archive "${name}" in ${folder} is damaged`, {
        hint: `Move that folder away and take the archive in again with "sparsebak key unlock".`,
        cause: error,
      });
    }
  }

  static exists(stateDir: string, name: ArchiveName): boolean {
    try {
      readFileSync(join(archiveFolder(stateDir, name), 'settings.json'));
      return true;
    } catch {
      return false;
    }
  }

  /** Writes a new archive's state, durably; settings last, so that a torn beginning is no archive. */
  static create(
    stateDir: string,
    name: ArchiveName,
    record: WrappedRecord,
    choice: { codec: ArchiveSettings['codec']; level: number; creating: boolean },
  ): ArchiveState {
    const folder = archiveFolder(stateDir, name);
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

  /** Forgets the archive (an `init` that the receiver refused). */
  remove(): void {
    removeDurably(join(this.folder, 'settings.json'));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Takes the next sequence, above `atLeast`; durable before it is used, so that no two catalogues ever share one. */
  burnSequence(atLeast: number): number {
    return this.#burn(atLeast, this.#burned().session).sequence;
  }

  /**
   * Takes the next sequence and session name. Both are durable before they are used: a head signs its session's name, and
   * of two heads with one name, from a send that failed and the next one, the receiver could show either.
   * @param newest of the archive, as it was proven
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

  #burn(atLeast: number, session: SessionName | undefined): { sequence: number } {
    const sequence = Math.max(this.#burned().sequence, atLeast) + 1;
    writeDurably(
      join(this.folder, 'sequence'),
      `${[sequence, ...(session === undefined ? [] : [session])].join(' ')}\n`,
    );
    return { sequence };
  }

  #burned(): { sequence: number; session: SessionName | undefined } {
    try {
      const [number, session = ''] = readFileSync(join(this.folder, 'sequence'), 'utf8').trim().split(' ');
      const sequence = Number(number);
      return {
        sequence: Number.isSafeInteger(sequence) && sequence >= 0 ? sequence : 0,
        session: isSessionName(session) ? session : undefined,
      };
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return { sequence: 0, session: undefined };
      throw error;
    }
  }

  #writeSettings(): void {
    writeDurably(join(this.folder, 'settings.json'), `${JSON.stringify(this.settings, null, 2)}\n`);
  }
}

export function archiveFolder(stateDir: string, name: ArchiveName): string {
  return join(stateDir, 'archives', name);
}
