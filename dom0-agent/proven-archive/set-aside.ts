/**
 * Moves dom0's state of an archive, including its key, out of the way. It is never destroyed, so that it can be put
 * back if a receiver only pretended that the archive is gone or forked.
 */
import { existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { makeFolderDurably, syncFolder } from '../../shared/durable.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { acquireLock } from '../process/flock.ts';
import { ArchiveState, archiveFolder } from './archive-state.ts';
import { lineOf, type ArchiveLine } from './archive-line.ts';
import { Pin } from './pin.ts';

const FOLDER = 'set-aside';

export interface SetAside {
  /** Where the state is kept. */
  readonly folder: string;
  /** The archive's line in that state; undefined if it is damaged. */
  readonly line: ArchiveLine | undefined;
  /** Moves it back, if nothing has taken its place. */
  putBack(): void;
}

export interface SetAsideOptions {
  readonly stateDir: string;
  /** Seconds to wait for a command that writes to the archive. */
  readonly lockWait: number;
  readonly signal: AbortSignal;
}

/** Durable when it returns. @throws `locked` while another command writes to the archive */
export async function setAside(name: ArchiveName, options: SetAsideOptions): Promise<SetAside> {
  const from = archiveFolder(options.stateDir, name);
  const { lockWait: waitSeconds, signal } = options;
  const lock = await acquireLock(join(from, 'lock'), { exclusive: true, waitSeconds, signal });
  try {
    const line = knownLine(options.stateDir, name);
    const folder = freeFolder(join(options.stateDir, FOLDER), name);
    makeFolderDurably(dirname(folder));
    move(from, folder);
    return {
      folder,
      line,
      putBack: () => {
        if (!existsSync(from)) move(folder, from);
      },
    };
  } finally {
    lock.release();
  }
}

function knownLine(stateDir: string, name: ArchiveName): ArchiveLine | undefined {
  try {
    const { current } = new Pin(ArchiveState.open(stateDir, name));
    return current === undefined ? undefined : lineOf(current);
  } catch {
    return undefined;
  }
}

function freeFolder(parent: string, name: ArchiveName): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  for (let number = 1; number <= 1000; number++) {
    const folder = join(parent, `${name}-${time}${number === 1 ? '' : `-${number}`}`);
    if (!existsSync(folder)) return folder;
  }
  throw new SparsebakError('failed', `no free name in ${parent}`);
}

function move(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  syncFolder(dirname(from));
}
