// A configuration, an archive and a copy of every volume at every session: the two programs as users run them, and what they
// restore compared byte by byte.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ThinPool } from './thin-pool.ts';

/** A run that takes longer hangs. Milliseconds. */
const LIMIT = 90_000;
const TEMPLATE = '/tmp/template';

export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface SentVolume {
  readonly name: string;
  readonly kind: string;
  readonly compared: boolean;
  readonly changedBytes: number;
  readonly sentBytes: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface Sent {
  readonly session: string | null;
  readonly volumes: readonly SentVolume[];
}

interface MonitoredVolume {
  readonly name: string;
  readonly kind: string;
  readonly changedBytes?: number;
}

export interface BackupOptions {
  readonly volumes: readonly string[];
  readonly state?: 'stopped' | 'running';
  readonly fullAt?: number;
}

export class Backup {
  readonly folder: string;
  readonly pool: ThinPool;
  readonly #options: BackupOptions;
  /** Files, by volume and session. */
  readonly #kept = new Map<string, Map<string, string>>();

  /** An archive of its own. The one that all are copied from is made once: deriving its key takes seconds here. */
  constructor(test: TestContext, pool: ThinPool, options: BackupOptions) {
    this.folder = mkdtempSync('/tmp/backup-');
    this.pool = pool;
    this.#options = options;
    test.after(() => {
      rmSync(this.folder, { recursive: true });
      pool.clear();
    });
    mkdirSync(join(this.folder, 'kept'));
    this.configure();
    if (existsSync(TEMPLATE)) {
      for (const name of ['state', 'vault']) cpSync(join(TEMPLATE, name), join(this.folder, name), { recursive: true });
      return;
    }
    mkdirSync(join(this.folder, 'vault'));
    const passphrase = join(this.folder, 'passphrase');
    writeFileSync(passphrase, 'correct horse\n');
    this.run(['init', '--passphrase-file', passphrase]);
    mkdirSync(TEMPLATE);
    for (const name of ['state', 'vault']) cpSync(join(this.folder, name), join(TEMPLATE, name), { recursive: true });
  }

  configure(changes: Partial<BackupOptions> = {}): void {
    const { volumes, state = 'stopped', fullAt = 90 } = { ...this.#options, ...changes };
    const lines = [
      `destination = "local:${this.folder}/vault"`,
      'archive = "laptop"',
      `state_dir = "${this.folder}/state"`,
      '[pool.main]',
      'type = "lvm-thin"',
      `vgname = "${this.pool.group}"`,
      `poolname = "${this.pool.name}"`,
      `state = "${state}"`,
      `full_at = ${fullAt}`,
      `volumes = ${JSON.stringify(volumes)}`,
    ];
    writeFileSync(join(this.folder, 'sparsebak.toml'), `${lines.join('\n')}\n`);
  }

  try(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Ran {
    const flags = ['--disallow-code-generation-from-strings', '/suite/sparsebak.js'];
    const own = ['--config', join(this.folder, 'sparsebak.toml')];
    const result = spawnSync('node', [...flags, ...own, ...args], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined, ...environment },
      maxBuffer: 64 * 1024 * 1024,
      timeout: LIMIT,
    });
    return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
  }

  run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Ran {
    const ran = this.try(args, environment);
    assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.signal ?? ''} ${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** Keeps a copy of every volume that was sent; nothing writes to them meanwhile. */
  send(options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Sent {
    const sent = JSON.parse(this.run(['--json', 'send', ...options], environment).stdout) as Sent;
    this.keep(sent);
    return sent;
  }

  keep({ session, volumes }: Sent): void {
    for (const { name, kind } of volumes) {
      if (session === null || (kind !== 'full' && kind !== 'incremental')) continue;
      const running = this.#options.state === 'running' && existsSync(this.pool.path(`${name}-snap`));
      const file = join(this.folder, 'kept', `${name} ${session}`);
      writeFileSync(file, this.pool.read(running ? `${name}-snap` : name));
      const sessions = this.#kept.get(name) ?? new Map<string, string>();
      this.#kept.set(name, sessions.set(session, file));
    }
  }

  monitor(environment: NodeJS.ProcessEnv = {}): MonitoredVolume[] {
    const ran = this.run(['--json', 'monitor'], environment);
    return (JSON.parse(ran.stdout) as { volumes: MonitoredVolume[] }).volumes;
  }

  /** The newest session of a volume restored and compared; of `all`, each one. */
  compare(volume: string, all: 'newest' | 'all' = 'newest'): void {
    const sessions = [...(this.#kept.get(volume) ?? [])];
    const chosen = all === 'all' ? sessions : sessions.slice(-1);
    assert.ok(chosen.length > 0, `${volume} was never sent`);
    for (const [session, file] of chosen) {
      const target = join(this.folder, 'restored');
      this.run(['restore', volume, '--session', session, '--to', target]);
      const same = readFileSync(target).equals(readFileSync(file));
      rmSync(target);
      assert.ok(same, `${volume} ${session} was not restored as it was`);
    }
  }

  /** What must be so after every run that came to its end (I8). */
  assertTidy(snapshots: number): void {
    const own = this.pool.ownSnapshots();
    assert.deepEqual(
      own.filter(({ active }) => active),
      [],
      'no snapshot stays active',
    );
    assert.equal(own.length, snapshots, 'no stray snapshot');
    assert.equal(this.pool.isReserved, false, 'no reserved metadata');
  }
}
