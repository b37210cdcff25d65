// A place for one scenario: pools, an archive, dom0's state, and a kept copy of every volume at every session, against
// which all restores are compared byte by byte.

import assert from 'node:assert/strict';
import {
  copyFileSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type * as z from '../../shared/zod.ts';
import { placesOf } from '../fixtures/qubes/places.ts';
import { QubesSystem } from '../fixtures/qubes/system.ts';
import { configureVault, installVault } from '../fixtures/qubes/vault.ts';
import { makeScratch, scratchFor } from '../fixtures/scratch.ts';
import {
  initDocument,
  listDocument,
  monitorDocument,
  sendDocument,
  verifyDocument,
  type ListDocument,
  type SendDocument,
  type SentVolume,
} from './documents.ts';
import type { Interposition } from './interposed.ts';
import { LINK, VAULT, type SystemLink } from './link.ts';
import { INTERPOSED, interposedAgent, run, start, type Ran, type RunOptions, type Running } from './program.ts';

export interface SystemPool {
  readonly name: string;
  readonly type: 'reflink' | 'file';
  readonly path: string;
  readonly volumes?: readonly string[];
  readonly exclude?: readonly string[];
  /** Lines of TOML. */
  readonly more?: string;
}

export interface SystemOptions {
  readonly pools: readonly SystemPool[];
  /** Lines of TOML ahead of the pools. */
  readonly more?: string;
  /** The folder that holds the archives, where it is another's: a mount point, or another lab's. */
  readonly root?: string;
  readonly link?: SystemLink;
  readonly archive?: string;
  /** Where dom0's state goes; in the lab's folder unless told otherwise. */
  readonly stateDir?: string;
}

function systemFor(test: TestLike): QubesSystem {
  const system = new QubesSystem(makeScratch('qubes'));
  test.after(() => system.end());
  return system;
}

interface TestLike {
  after: (cleanUp: () => void | Promise<void>) => void;
}

export class BackupSystem {
  readonly folder: string;
  readonly stateDir: string;
  /** The folder that holds the archives. */
  #root: string;
  readonly link: SystemLink;
  /** Where the archives are kept over qrexec. */
  readonly qubes: QubesSystem | undefined;
  readonly pools: readonly SystemPool[];
  readonly archive: string;
  /** What each volume was at each of its sessions. */
  readonly kept = new Map<string, Map<string, string>>();
  /** Whole restores that were compared. */
  compared = 0;
  /** Of every run, where it does not say otherwise. */
  env: NodeJS.ProcessEnv = {};
  #interposed: string | undefined;
  #copies = 0;

  constructor(test: TestLike, { pools, more = '', root, link = LINK, archive = 'laptop', stateDir }: SystemOptions) {
    this.link = link;
    this.qubes = link === 'qubes' ? systemFor(test) : undefined;
    this.folder = scratchFor(test);
    this.stateDir = stateDir ?? join(this.folder, 'state');
    this.#root = root ?? join(this.folder, 'archives');
    this.pools = pools;
    this.archive = archive;
    mkdirSync(this.root, { recursive: true });
    if (this.qubes !== undefined) {
      this.env = { PATH: `${this.qubes.bin}:${process.env.PATH ?? ''}` };
      installVault(this.qubes.addVm(VAULT));
    }
    this.useRoot(this.#root);
    writeFileSync(join(this.folder, 'passphrase'), 'correct horse\n');
    this.configure(more);
  }

  /** The folder that holds the archives. */
  get root(): string {
    return this.#root;
  }

  /** Has the archives in another folder from now on. */
  useRoot(root: string): void {
    this.#root = root;
    if (this.qubes !== undefined) configureVault(placesOf(this.qubes.folder, VAULT), root);
  }

  get destination(): string {
    return this.link === 'qubes' ? `qubes://${VAULT}` : `local:${this.root}`;
  }

  get config(): string {
    return join(this.folder, 'sparsebak.toml');
  }

  configure(more = '', destination = this.destination, pools = this.pools): void {
    const text = (value: unknown) => JSON.stringify(value);
    const sections = pools.map(
      ({ name, type, path, volumes = ['**'], exclude = [], more: lines = '' }) =>
        `[pool.${name}]\ntype = ${text(type)}\npath = ${text(path)}\nvolumes = ${text(volumes)}\nexclude = ${text(exclude)}\n${lines}\n`,
    );
    const head = `destination = ${text(destination)}\narchive = ${text(this.archive)}\nstate_dir = ${text(this.stateDir)}\n${more}\n`;
    writeFileSync(this.config, head + sections.join('\n'));
  }

  /** The agent with this lab's configuration. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return await run(['--config', this.config, ...args], this.#options(options));
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    return start(['--config', this.config, ...args], this.#options(options));
  }

  #options(options: RunOptions): RunOptions {
    return { cwd: this.folder, ...options, env: { ...this.env, ...options.env } };
  }

  /** The agent with something between it and its receiver that acts at one message. */
  interposed(plan: Interposition | null, trace?: string): RunOptions {
    const env = { INTERPOSE: JSON.stringify(plan), ...(trace === undefined ? {} : { INTERPOSE_TRACE: trace }) };
    if (this.qubes !== undefined) {
      const { services } = placesOf(this.qubes.folder, VAULT);
      return { env: { ...env, QUBES_BETWEEN: INTERPOSED, INTERPOSE_SERVICES: services } };
    }
    this.#interposed ??= interposedAgent(join(this.folder, 'interposed'));
    return { agent: this.#interposed, env };
  }

  /** Runs a command that must succeed; its document. */
  async ask<T>(schema: z.ZodMiniType<T>, args: readonly string[], options: RunOptions = {}): Promise<T> {
    const ran = await this.run(['--json', ...args], options);
    return ran.expect(0).json(schema);
  }

  async init(...options: string[]): Promise<void> {
    const passphrase = ['--passphrase-file', join(this.folder, 'passphrase')];
    await this.ask(initDocument, ['init', ...passphrase, ...options]);
  }

  /** A send that must succeed; keeps a copy of each volume that was committed. */
  async send(...args: string[]): Promise<SendDocument> {
    const sent = await this.ask(sendDocument, ['send', ...args]);
    this.keep(sent);
    return sent;
  }

  async monitor(...args: string[]): Promise<z.infer<typeof monitorDocument>> {
    return await this.ask(monitorDocument, ['monitor', ...args]);
  }

  async list(...args: string[]): Promise<ListDocument> {
    return await this.ask(listDocument, ['list', ...args]);
  }

  /** Where a volume lies. */
  path(volume: string): string {
    const found = this.pools.map(({ path }) => join(path, volume)).find((path) => existsSync(path));
    return found ?? join(this.pools[0]!.path, volume);
  }

  write(volume: string, content: Uint8Array): void {
    mkdirSync(dirname(this.path(volume)), { recursive: true });
    writeFileSync(this.path(volume), content);
  }

  /** Keeps what the volumes of a send are now, which must be what they were then. */
  keep({ session, volumes }: SendDocument): void {
    for (const { name, kind } of volumes) {
      if (session !== null && (kind === 'full' || kind === 'incremental')) this.keepOne(name, session, this.path(name));
    }
  }

  keepOne(volume: string, session: string, path: string): void {
    copyFileSync(path, this.#copyFor(volume, session), constants.COPYFILE_FICLONE);
  }

  /** Keeps what a volume was at a session that nobody was told of. */
  keepBytes(volume: string, session: string, bytes: Uint8Array): void {
    writeFileSync(this.#copyFor(volume, session), bytes);
  }

  #copyFor(volume: string, session: string): string {
    const sessions = this.kept.get(volume) ?? new Map<string, string>();
    this.kept.set(volume, sessions);
    const folder = join(this.folder, 'kept');
    mkdirSync(folder, { recursive: true });
    const copy = join(folder, String(this.#copies++));
    sessions.set(session, copy);
    return copy;
  }

  /** Restores one session and gives its bytes. */
  async restore(volume: string, session?: string): Promise<Buffer> {
    const to = join(this.folder, 'restored');
    const which = session === undefined ? [] : ['--session', session];
    (await this.run(['restore', '--to', to, ...which, '--', volume])).expect(0);
    const bytes = readFileSync(to);
    rmSync(to);
    return bytes;
  }

  /** Restores every session that was ever committed and compares it whole; the archive has no other. */
  async compareAll(): Promise<void> {
    const { volumes } = await this.list();
    const listed = new Map(volumes.map(({ name, sessions }) => [name, sessions.map(({ session }) => session)]));
    for (const [volume, sessions] of this.kept) {
      assert.deepEqual(listed.get(volume), [...sessions.keys()], `the sessions of ${volume}`);
      for (const [session, copy] of sessions) {
        const restored = await this.restore(volume, session);
        assert.ok(restored.equals(readFileSync(copy)), `${volume} at ${session} is not what it was`);
        this.compared++;
      }
    }
    assert.ok(this.compared > 0, 'something was compared');
  }

  /** These sessions are gone for good. */
  pruned(volume: string, sessions: Iterable<string>): void {
    for (const session of sessions) this.kept.get(volume)?.delete(session);
  }

  async verifyAll(): Promise<void> {
    const { sessions } = await this.ask(verifyDocument, ['verify', '--all-sessions']);
    assert.ok(sessions.length > 0);
    assert.ok(sessions.every(({ badChunks, error }) => badChunks === 0 && error === undefined));
  }

  /** Snapshots that lie in a reflink pool. */
  snapshots(): string[] {
    return this.pools.flatMap(({ path }) => {
      const folder = join(path, '.sparsebak');
      return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
    });
  }

  /** Snapshots that dom0's state names: those that may stay. */
  namedSnapshots(): Set<string> {
    return new Set(
      this.pairings().flatMap(({ tick, pending }) =>
        [tick, ...pending.map(({ tock }) => tock)].flatMap((snapshot) => (snapshot === null ? [] : [snapshot.id])),
      ),
    );
  }

  /** dom0's state of the volumes, as it is on disk. */
  pairings(): PairingOnDisk[] {
    const volumes = join(this.stateDir, 'volumes');
    if (!existsSync(volumes)) return [];
    return readdirSync(volumes).flatMap((folder) => {
      const file = join(volumes, folder, 'pairing.json');
      if (!existsSync(file)) return [];
      return [{ ...(JSON.parse(readFileSync(file, 'utf8')) as { state: PairingOnDisk }).state, folder: dirname(file) }];
    });
  }

  /** I8: after a run that ended in order nothing is left that no state names. */
  assertNothingStray(): void {
    const named = this.namedSnapshots();
    for (const path of this.snapshots()) {
      const id = path.split('/').at(-1)!.split('.')[0]!;
      assert.ok(named.has(id), `a stray snapshot: ${path}`);
    }
    for (const archive of readdirSync(this.root)) {
      const volumes = join(this.root, archive, 'volumes');
      for (const volume of existsSync(volumes) ? readdirSync(volumes) : []) {
        const entries = readdirSync(join(volumes, volume));
        assert.deepEqual(
          entries.filter((entry) => entry.startsWith('.tmp')),
          [],
          'no send is left half-way',
        );
      }
    }
  }
}

export interface PairingOnDisk {
  readonly folder: string;
  readonly volume: string;
  readonly tick: { readonly id: string } | null;
  readonly maps: readonly { readonly file: string }[];
  readonly pending: readonly { readonly tock: { readonly id: string } | null; readonly outcome: string }[];
}

export function only(volumes: readonly SentVolume[], name: string): SentVolume {
  const found = volumes.filter((volume) => volume.name === name);
  assert.equal(found.length, 1, `${name} is there once`);
  return found[0]!;
}
