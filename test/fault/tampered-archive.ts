// A real archive that a test may tamper with: made by the real programs, put back as it was before each case, read
// through the agent's own code with a real receiver behind it.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { parseDestination } from '../../dom0-agent/link/destination.ts';
import { WorkerGroup } from '../../dom0-agent/pipeline/worker-group.ts';
import { findSession } from '../../dom0-agent/proven-archive/find-session.ts';
import { restore } from '../../dom0-agent/restore/restore-session.ts';
import { openTarget } from '../../dom0-agent/restore/open-target.ts';
import { ArchiveState } from '../../dom0-agent/proven-archive/archive-state.ts';
import { openArchive, type OpenArchive } from '../../dom0-agent/proven-archive/open-archive.ts';
import { CHUNK_FILE_NAME, RANGE_FOLDER_NAME } from '../../shared/archive/address.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { Random } from '../fixtures/random.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { initDocument } from '../scenario/documents.ts';
import { BackupSystem } from '../scenario/backup-system.ts';

// The receiver is started anew for each call.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'sparsebak-compile-cache');

export const CHUNK = 64 * 1024;
const RANGE = 1024 * CHUNK;

export interface Mode {
  readonly name: string;
  readonly init: readonly string[];
}

export const MODES: readonly Mode[] = [
  { name: 'encrypted', init: [] },
  { name: 'plain gzip', init: ['--encryption', 'off'] },
];

export type Kind = 'chunk' | 'page' | 'index' | 'head';

export interface Place {
  readonly kind: Kind;
  readonly volume: string;
  readonly session: string;
  readonly path: string;
}

/** What came of one restore. */
export interface Outcome {
  readonly volume: string;
  readonly session: string;
  /** The exit status that the command would have. */
  readonly status: number;
  readonly message: string;
}

interface TestLike {
  after: (cleanUp: () => void) => void;
}

export class TamperedArchive {
  readonly lab: BackupSystem;
  readonly mode: Mode;
  readonly random: Random;
  /** Every session's name, oldest first. */
  readonly sessions: string[] = [];
  /** Ids of volumes by name. */
  readonly ids = new Map<string, string>();
  recoveryKey = '';
  /** Restores that gave the exact bytes, and those that were refused. */
  readonly counts = { exact: 0, refused: 0 };
  readonly #pools: WorkerGroup[] = [];

  private constructor(lab: BackupSystem, mode: Mode) {
    this.lab = lab;
    this.mode = mode;
    this.random = new Random(`ground ${mode.name}`);
  }

  /**
   * Three sessions of three volumes: `a.img` changes in each (data becomes zeros and zeros data in the last), `b.img`
   * in the second, and `wide.img`, a sparse one of three ranges, in the third. What each was is kept.
   */
  static async make(test: TestLike, mode: Mode): Promise<TamperedArchive> {
    const pool = join(scratchFor(test), 'pool');
    const lab = new BackupSystem(test, {
      pools: [{ name: 'main', type: 'file', path: pool }],
      more: 'initial = "full"',
    });
    const ground = new TamperedArchive(lab, mode);
    const { random } = ground;
    mkdirSync(pool);
    const passphrase = ['--passphrase-file', join(lab.folder, 'passphrase')];
    const made = await lab.ask(initDocument, ['init', ...passphrase, '--chunk-size', '64K', ...mode.init]);
    ground.recoveryKey = made.recoveryKey!;
    const a = Buffer.concat([
      text(random, CHUNK),
      random.bytes(CHUNK),
      Buffer.alloc(2 * CHUNK),
      random.bytes(CHUNK),
      text(random, 1000),
    ]);
    const b = Buffer.concat([text(random, CHUNK), random.bytes(2 * CHUNK)]);
    const wide = Buffer.alloc(2 * RANGE + 3 * CHUNK + 5);
    random.bytes(CHUNK).copy(wide, CHUNK);
    random.bytes(CHUNK).copy(wide, 2 * RANGE + CHUNK);
    lab.write('a.img', a);
    lab.write('b.img', b);
    lab.write('wide.img', wide);
    await ground.#send();
    random.bytes(CHUNK).copy(a, CHUNK);
    random.bytes(100).copy(b, 2 * CHUNK);
    lab.write('a.img', a);
    lab.write('b.img', b);
    await ground.#send();
    a.fill(0, CHUNK, 2 * CHUNK);
    text(random, CHUNK).copy(a, 2 * CHUNK);
    random.bytes(10).copy(wide, 2 * RANGE);
    lab.write('a.img', a);
    lab.write('wide.img', wide);
    await ground.#send();
    await ground.#learnIds();
    cpSync(lab.root, ground.#pristine('archives'), { recursive: true });
    cpSync(lab.stateDir, ground.#pristine('state'), { recursive: true });
    cpSync(pool, ground.#pristine('pool'), { recursive: true });
    test.after(() => {
      for (const each of ground.#pools) void each.close();
    });
    return ground;
  }

  async #send(): Promise<void> {
    const { session } = await this.lab.send();
    assert.notEqual(session, null);
    this.sessions.push(session!);
    cpSync(this.lab.root, this.#pristine(session!), { recursive: true });
  }

  async #learnIds(): Promise<void> {
    const archive = await this.open();
    for (const { name, id } of archive.pinned.catalogue.volumes) this.ids.set(name, id);
    archive.client.close();
  }

  #pristine(name: string): string {
    return join(this.lab.folder, 'pristine', name);
  }

  /** The archive's folder. */
  get archive(): string {
    return join(this.lab.root, this.lab.archive);
  }

  get state(): string {
    return this.lab.stateDir;
  }

  volume(name: string): string {
    return join(this.archive, 'volumes', this.ids.get(name)!);
  }

  session(name: string, session: string): string {
    return join(this.volume(name), session);
  }

  /** The archive as it was right after one of its sessions. */
  asOf(session: string): string {
    return join(this.#pristine(session), this.lab.archive);
  }

  /** Puts archive, dom0's state and volumes back as they were made. */
  reset(): void {
    this.heal();
    replace(this.#pristine('state'), this.lab.stateDir);
    replace(this.#pristine('pool'), this.lab.pools[0]!.path);
  }

  /** Puts the archive alone back. */
  heal(): void {
    replace(this.#pristine('archives'), this.lab.root);
  }

  /** Puts some volumes of the archive back, by their ids; all of it where it is gone. */
  healVolumes(ids: ReadonlySet<string>): void {
    if (!existsSync(join(this.archive, 'volumes'))) {
      this.heal();
      return;
    }
    const pristine = join(this.#pristine('archives'), this.lab.archive, 'volumes');
    for (const id of ids) replace(join(pristine, id), join(this.archive, 'volumes', id));
  }

  /** Every stored object of the volumes, in a fixed order; zero-length files are not objects. */
  places(...kinds: readonly Kind[]): Place[] {
    const found: Place[] = [];
    for (const [volume] of [...this.ids].sort(([x], [y]) => (x < y ? -1 : 1))) {
      for (const session of this.sessions) {
        const folder = this.session(volume, session);
        if (!existsSync(folder)) continue;
        const add = (kind: Kind, path: string) => {
          if (kinds.includes(kind) && statSync(path).size > 0) found.push({ kind, volume, session, path });
        };
        add('head', join(folder, 'head'));
        add('index', join(folder, 'index'));
        for (const range of readdirSync(folder).sort()) {
          if (!RANGE_FOLDER_NAME.test(range)) continue;
          for (const file of readdirSync(join(folder, range)).sort()) {
            if (file === 'page') add('page', join(folder, range, file));
            else if (CHUNK_FILE_NAME.test(file)) add('chunk', join(folder, range, file));
          }
        }
      }
    }
    return found;
  }

  /** Opens the archive as the agent's reading commands do. */
  async open(): Promise<OpenArchive> {
    const { signal } = new AbortController();
    const destination = parseDestination(`local:${this.lab.root}`);
    const name = this.lab.archive as ArchiveName;
    const archive = { name, destination, qubesClient: 'qrexec-client' } as const;
    const options = { purpose: 'retrieve', lockWait: 5, signal, log: pino({ level: 'silent' }) } as const;
    return await openArchive(archive, ArchiveState.open(this.state, name), options);
  }

  pool(archive: OpenArchive): WorkerGroup {
    const [pool = new WorkerGroup(archive.state.content.chunkContent(archive.state.settings.level), 1)] = this.#pools;
    this.#pools[0] = pool;
    return pool;
  }

  /** Restores one session of one volume over an open connection: the exact bytes, or an error and no target. */
  async restoreOne(
    archive: OpenArchive,
    volume: string,
    session: string,
    expected = this.lab.kept.get(volume)!.get(session)!,
  ): Promise<Outcome> {
    const to = join(this.lab.folder, 'target');
    const pool = this.pool(archive);
    const tools = {
      client: archive.client,
      reader: archive.reader,
      workers: pool,
      signal: new AbortController().signal,
    };
    try {
      const entry = archive.pinned.catalogue.volumes.find(({ name }) => name === volume)!;
      const proven = await findSession(archive, entry, session === entry.session ? undefined : session);
      const target = await openTarget({ path: to, size: proven.head.size, force: true, own: [] });
      await restore(proven, target, { ...tools, onProgress: () => undefined });
    } catch (caught) {
      return this.#refused(volume, session, caught);
    }
    assert.ok(
      readFileSync(to).equals(readFileSync(expected)),
      `I1 ${volume} at ${session} was restored as something else`,
    );
    rmSync(to);
    this.counts.exact++;
    return { volume, session, status: 0, message: '' };
  }

  #refused(volume: string, session: string, caught: unknown): Outcome {
    const { code, exitStatus, message } = asSparsebakError(caught);
    // A named session that is not there may have been pruned, for all that dom0 knows.
    const known = caught instanceof SparsebakError && (code === 'not-found' || [4, 5].includes(exitStatus));
    assert.ok(known, `exit ${exitStatus}: ${message}`);
    const left = readdirSync(this.lab.folder).filter((name) => name.startsWith('target'));
    assert.deepEqual(left, [], 'I1 nothing is left where it was to be restored');
    this.counts.refused++;
    return { volume, session, status: exitStatus, message };
  }

  /** Restores every session of every volume. A connection that broke is made again. */
  async restoreAll(): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let archive: OpenArchive | undefined;
    try {
      for (const [volume, sessions] of this.lab.kept) {
        for (const session of sessions.keys()) {
          try {
            if (archive?.client.failure !== undefined) archive = undefined;
            archive ??= await this.open();
          } catch (caught) {
            outcomes.push(this.#refused(volume, session, caught));
            continue;
          }
          outcomes.push(await this.restoreOne(archive, volume, session));
        }
      }
    } finally {
      archive?.client.close();
    }
    return outcomes;
  }

  /** Session folders and unfinished sends of all volumes. */
  stored(): string[] {
    const volumes = join(this.archive, 'volumes');
    if (!existsSync(volumes)) return [];
    return readdirSync(volumes).flatMap((id) =>
      readdirSync(join(volumes, id))
        .filter((name) => /^(S_|\.tmp)/.test(name))
        .map((name) => `${id}/${name}`),
    );
  }
}

function replace(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
}

/** Compressible. */
export function text(random: Random, length: number): Buffer {
  const words = Array.from({ length: 64 }, () => random.bytes(6).toString('hex'));
  let out = '';
  while (out.length < length) out += `${random.pick(words)} `;
  return Buffer.from(out.slice(0, length));
}
