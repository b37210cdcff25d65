/**
 * A sparse file that gets its name only when all of it is written, proven and durable. Until then it has a temporary
 * name that contains the process id: an interrupted restore never looks like a finished one, two restores never write
 * to the same file, and the file of a killed one is found and removed.
 *
 * The folder's owner may change names in it meanwhile. So the file is written through the descriptor that created it,
 * names are looked up in the held folder, and the name must lead to this very file before and after it is renamed.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type BigIntStats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { isSameFile, pathOfDescriptor, type FileIdentity, type Held } from './held-file.ts';
import { PARTIAL } from './pool-folder.ts';
import { attempt, failed } from './target-error.ts';
import type { Finished, Target } from './target.ts';
import { WriteBack } from './write-back.ts';

export interface NewFile {
  /** Closed with the target. */
  readonly folder: Held;
  /** Opens the folder again by its path: at the end it must still be the same. */
  readonly openAgain: () => Promise<Held>;
  /** As the user knows it; its last part is the name in the folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * What happens to an existing file of that name. `refuse`: it stays, and the new one fails; `lose`: the last step
   * replaces it.
   */
  readonly there: 'refuse' | 'lose' | PutAside;
  /** Repeats a check just before the last step. */
  readonly check?: () => Promise<void>;
}

/** A file that stays under another name in the same folder. */
export interface PutAside {
  readonly file: BigIntStats;
  readonly keptAs: string;
  /** Whether the new file gets its owner and mode; otherwise it belongs to root, and only root can read it. */
  readonly likeIt: boolean;
}

/** @throws `target` */
export function newFile(options: NewFile): Target {
  const { folder, path, size } = options;
  try {
    removeAbandoned(folder, basename(path));
    return attempt(path, () => new NewFileTarget(options, size));
  } catch (error) {
    folder.close();
    throw error;
  }
}

class NewFileTarget implements Target {
  readonly #options: NewFile;
  readonly #name: string;
  readonly #partial: string;
  readonly #fd: number;
  readonly #identity: FileIdentity;
  readonly #writeBack: WriteBack;
  #isOpen = true;
  #hasName = false;

  constructor(options: NewFile, size: number) {
    this.#options = options;
    this.#name = basename(options.path);
    this.#partial = `${this.#name}${PARTIAL}${process.pid}`;
    // Exclusively: an existing file is not ours, and may be a link to elsewhere.
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    this.#fd = openSync(options.folder.in(this.#partial), flags, 0o600);
    this.#identity = fstatSync(this.#fd, { bigint: true });
    this.#writeBack = new WriteBack(this.#fd);
    try {
      ftruncateSync(this.#fd, size);
    } catch (error) {
      this.#discard();
      throw error;
    }
  }

  get path(): string {
    return pathOfDescriptor(this.#fd);
  }

  wrote(bytes: number): void {
    this.#writeBack.wrote(bytes);
  }

  async finish(): Promise<Finished> {
    const { path, folder, there, check } = this.#options;
    try {
      attempt(path, () => {
        this.#takeOver();
      });
      await this.#writeBack.end().catch((error: unknown) => {
        throw failed(path, error);
      });
      await check?.();
      const finished = attempt(path, () => this.#takeName());
      attempt(path, () => {
        folder.sync();
      });
      await this.#checkFolder();
      this.#close();
      return typeof there === 'string' ? finished : { ...finished, private: !there.likeIt };
    } catch (error) {
      this.#discard();
      throw error;
    }
  }

  #takeOver(): void {
    const { there } = this.#options;
    if (typeof there === 'string' || !there.likeIt) return;
    const { uid, gid, mode } = there.file;
    fchownSync(this.#fd, Number(uid), Number(gid));
    fchmodSync(this.#fd, Number(mode) & 0o777);
  }

  #takeName(): Finished {
    const { path, folder, there } = this.#options;
    const [from, to] = [folder.in(this.#partial), folder.in(this.#name)];
    this.#checkName(this.#partial);
    this.#hasName = true;
    if (there === 'refuse') {
      linkOrRename(folder, this.#partial, this.#name);
      this.#removePartial();
    } else {
      // The old file has two names for a moment, so that its own is never missing.
      if (there !== 'lose') keepAside(folder, this.#name, there, path);
      renameSync(from, to);
    }
    this.#checkName(this.#name);
    if (typeof there === 'string') return { to: path };
    return { to: path, kept: { name: there.keptAs, removal: `rm ${join(dirname(path), there.keptAs)}` } };
  }

  #checkName(name: string): void {
    const { folder, path } = this.#options;
    const there = folder.look(name);
    if (there !== undefined && isSameFile(there, this.#identity)) return;
    throw new SparsebakError(
      'target',
      `${join(dirname(path), name)} is not the file that was restored: another process replaced it meanwhile`,
      {
        hint: 'Another user or program changes files in that folder. Restore to a folder that only root can write to.',
      },
    );
  }

  async #checkFolder(): Promise<void> {
    const { folder, openAgain, path } = this.#options;
    const now = await openAgain().catch(() => undefined);
    const same = now !== undefined && isSameFile(now.stats, folder.stats);
    now?.close();
    if (same) return;
    throw new SparsebakError('target', `${path} was restored, but the path now leads to another folder`, {
      hint: 'A folder of the path was renamed or replaced meanwhile: find out why, and restore to another place.',
    });
  }

  async abandon(): Promise<void> {
    this.#removePartial();
    await this.#writeBack.stop();
    this.#discard();
  }

  /** The name may belong to another file by now. */
  #removePartial(): void {
    const { folder } = this.#options;
    try {
      const there = folder.look(this.#partial);
      if (there !== undefined && isSameFile(there, this.#identity)) rmSync(folder.in(this.#partial), { force: true });
    } catch {
      // The next restore to this path removes it.
    }
  }

  #discard(): void {
    if (!this.#isOpen) return;
    this.#removePartial();
    try {
      // The file may be left under another name, so it is emptied.
      if (!this.#hasName) ftruncateSync(this.#fd, 0);
    } catch {
      // Ignored: a file that stays can be read only by its owner.
    }
    this.#close();
  }

  #close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
    this.#options.folder.close();
  }
}

function keepAside(folder: Held, name: string, { keptAs, file }: PutAside, path: string): void {
  linkOrRename(folder, name, keptAs);
  const kept = folder.look(keptAs);
  if (kept !== undefined && isSameFile(kept, file)) return;
  throw new SparsebakError('target', `${path} was replaced while it was restored`, {
    hint: `The file that has its name now is also beside it as ${keptAs}. Try again.`,
  });
}

/** Uses a name that no other file has got meanwhile. */
function linkOrRename(folder: Held, from: string, to: string): void {
  try {
    linkSync(folder.in(from), folder.in(to));
  } catch (error) {
    // A file system without hard links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(systemCode(error) ?? '')) throw error;
    if (folder.look(to) !== undefined) throw error;
    renameSync(folder.in(from), folder.in(to));
  }
}

function removeAbandoned(folder: Held, name: string): void {
  const prefix = `${name}${PARTIAL}`;
  try {
    for (const each of readdirSync(folder.path)) {
      const owner = each.startsWith(prefix) ? each.slice(prefix.length) : '';
      if (/^\d{1,10}$/.test(owner) && (owner === String(process.pid) || !existsSync(`/proc/${owner}`))) {
        rmSync(folder.in(each));
      }
    }
  } catch {
    // Ignored: a file that stays costs only space.
  }
}
