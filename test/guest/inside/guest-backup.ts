// A configuration, an archive and a copy of every volume at every session: the two programs as users run them, and what
// they restore compared byte by byte.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Interposition } from '../../scenario/interposed.ts';
import { AgentProcess, LIMIT, type Ran } from './agent.ts';
import type { ThinPool } from './thin-pool.ts';

const TEMPLATE = '/tmp/template';

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

export interface Restored {
  readonly to: string;
  readonly kept?: string;
  readonly dataBytes: number;
}

export interface PoolSection {
  readonly pool: ThinPool;
  readonly volumes: readonly string[];
  readonly state?: 'stopped' | 'running';
  readonly fullAt?: number;
}

/** Qubes that are saved as such: settings, and the volumes that qubesd names. */
export interface QubeSection {
  /** Of qubesd. */
  readonly socket: string;
  readonly include: readonly string[];
  readonly pools: readonly ThinPool[];
  /** What is captured of a volume such as `work:private`. */
  readonly read: (volume: string) => Buffer;
}

/** Scenarios run one after another. */
let agent: AgentProcess | undefined;

/** To the guest's console, whose end is shown if the guest has no other. */
function timed(args: readonly string[], work: () => Ran): Ran {
  const began = Date.now();
  const ran = work();
  console.error(`${((Date.now() - began) / 1000).toFixed(1)} s: sparsebak ${args.join(' ')}: ${String(ran.status)}`);
  return ran;
}

export class Backup {
  readonly folder: string;
  /** Whether commands are run as users run them: by the two built programs, which start anew each time. */
  built = false;
  #sections: readonly PoolSection[] = [];
  #qubes: QubeSection | undefined;
  /** Files, by volume and session. */
  readonly #kept = new Map<string, Map<string, string>>();

  /** An archive of its own. The one that all are copied from is made once: deriving its key takes seconds here. */
  constructor(test: TestContext, ...sections: PoolSection[]) {
    this.folder = mkdtempSync('/tmp/backup-');
    test.after(() => {
      rmSync(this.folder, { recursive: true });
      for (const { pool } of sections) pool.clear();
    });
    mkdirSync(join(this.folder, 'kept'));
    this.configure(...sections);
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

  /**
   * Puts an image into the pool `files`, which is configured from then on: a pattern that matches nothing is an error.
   */
  writeFile(name: `${string}.raw`, bytes: Uint8Array): void {
    mkdirSync(join(this.folder, 'files'), { recursive: true });
    writeFileSync(join(this.folder, 'files', name), bytes);
    this.configure(...this.#sections);
  }

  /** Beside the sections of pools, and from then on. */
  configureQubes(qubes: QubeSection): void {
    this.#qubes = qubes;
    this.configure(...this.#sections);
  }

  /** Sections are named by their pools. */
  configure(...sections: PoolSection[]): void {
    this.#sections = sections;
    const files = join(this.folder, 'files');
    const head = [
      `destination = "local:${this.folder}/vault"`,
      'archive = "laptop"',
      `state_dir = "${this.folder}/state"`,
      ...(existsSync(files) ? ['[pool.files]', 'type = "file"', `path = "${files}"`, 'volumes = ["*.raw"]'] : []),
    ];
    const lines = sections.flatMap(({ pool, volumes, state = 'stopped', fullAt = 90 }) => [
      `[pool.${pool.name}]`,
      'type = "lvm-thin"',
      `vgname = "${pool.group}"`,
      `poolname = "${pool.name}"`,
      `state = "${state}"`,
      `full_at = ${fullAt}`,
      `volumes = ${JSON.stringify(volumes)}`,
    ]);
    const qubes =
      this.#qubes === undefined
        ? []
        : ['[qubes]', `socket = "${this.#qubes.socket}"`, `include = ${JSON.stringify(this.#qubes.include)}`];
    writeFileSync(this.#config, `${[...head, ...lines, ...qubes].join('\n')}\n`);
  }

  /** Unless `built`, in a process of the agent that has run others before; a new one where that one was killed. */
  try(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Ran {
    if (this.built) return this.#program(args, environment, '/suite/sparsebak.js');
    if (agent?.alive !== true) {
      agent?.end();
      agent = new AgentProcess();
    }
    const current = agent;
    return timed(args, () => current.run(['--config', this.#config, ...args], environment));
  }

  #program(args: readonly string[], environment: NodeJS.ProcessEnv, file: string): Ran {
    return timed(args, () => {
      const own = ['--disallow-code-generation-from-strings', file, '--config', this.#config];
      const ran = spawnSync('node', [...own, ...args], {
        encoding: 'utf8',
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
        maxBuffer: 64 * 1024 * 1024,
        timeout: LIMIT,
      });
      if (ran.status === null && ran.signal !== 'SIGKILL') throw new Error(`${args.join(' ')}: ${ran.stderr}`);
      return ran;
    });
  }

  run(args: readonly string[], environment: NodeJS.ProcessEnv = {}, status = 0): Ran {
    const ran = this.try(args, environment);
    assert.equal(ran.status, status, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** A run that must fail, and say so by these words, in its table or as its error. */
  refused(args: readonly string[], words: RegExp): void {
    const ran = this.try(args);
    assert.ok(ran.status !== 0 && ran.status !== null, `${args.join(' ')}: ${ran.stdout}`);
    assert.match(`${ran.stdout}${ran.stderr}`, words);
  }

  /** A run that is killed at a call of a program. */
  killedAtCall(args: readonly string[], environment: NodeJS.ProcessEnv): void {
    const ran = this.try(args, environment);
    assert.equal(ran.status, null, `${args.join(' ')} was not killed: ${ran.stdout}${ran.stderr}`);
  }

  /** A run that is killed where a message goes by. */
  killedAtMessage(args: readonly string[], plan: Interposition): void {
    const environment = { INTERPOSE: JSON.stringify(plan), INTERPOSE_RECEIVER: '/suite/sparsebak-receiver.js' };
    const ran = this.#program(args, environment, '/suite/interposed/sparsebak.js');
    assert.equal(ran.status, null, `${plan.what}: ${ran.stdout}${ran.stderr}`);
  }

  /** Keeps a copy of every volume that was sent; nothing writes to them meanwhile. */
  send(options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}, status = 0): Sent {
    const sent = JSON.parse(this.run(['--json', 'send', ...options], environment, status).stdout) as Sent;
    this.keep(sent);
    return sent;
  }

  keep({ session, volumes }: Sent): void {
    for (const { name, kind } of volumes) {
      if (session === null || (kind !== 'full' && kind !== 'incremental') || name.endsWith(':settings')) continue;
      const file = join(this.folder, 'kept', `${name} ${session}`);
      writeFileSync(file, this.#live(name));
      const sessions = this.#kept.get(name) ?? new Map<string, string>();
      this.#kept.set(name, sessions.set(session, file));
    }
  }

  get #config(): string {
    return join(this.folder, 'sparsebak.toml');
  }

  /** A qube's volume that has another name since it was sent. */
  keepAs(from: string, to: string): void {
    const sessions = this.#kept.get(from);
    if (sessions !== undefined) this.#kept.set(to, sessions);
    this.#kept.delete(from);
  }

  #live(name: string): Buffer {
    if (this.#qubes !== undefined && name.includes(':')) return this.#qubes.read(name);
    for (const { pool, state } of this.#sections) {
      for (const each of state === 'running' ? [`${name}-snap`, name] : [name]) {
        if (existsSync(pool.path(each))) return pool.read(each);
      }
    }
    return readFileSync(join(this.folder, 'files', name));
  }

  /** What a volume was at its newest session. */
  newest(name: string): Buffer {
    const file = [...(this.#kept.get(name)?.values() ?? [])].at(-1);
    assert.ok(file !== undefined, `${name} was never sent`);
    return readFileSync(file);
  }

  monitor(environment: NodeJS.ProcessEnv = {}, status = 0): MonitoredVolume[] {
    const ran = this.run(['--json', 'monitor'], environment, status);
    return (JSON.parse(ran.stdout) as { volumes: MonitoredVolume[] }).volumes;
  }

  /** Volumes whose qube runs, so that what it wrote is in no session. */
  running(): string[] {
    const { volumes } = JSON.parse(this.run(['--json', 'status']).stdout) as {
      volumes: { name: string; running: boolean }[];
    };
    return volumes.filter(({ running }) => running).map(({ name }) => name);
  }

  restore(...args: string[]): Restored {
    return JSON.parse(this.run(['--json', 'restore', ...args]).stdout) as Restored;
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
    const pools = [...this.#sections.map(({ pool }) => pool), ...(this.#qubes?.pools ?? [])];
    const own = pools[0]?.ownSnapshots() ?? [];
    assert.deepEqual(
      own.filter(({ active }) => active),
      [],
      'no snapshot stays active',
    );
    assert.equal(own.length, snapshots, 'no stray snapshot');
    for (const pool of pools) assert.equal(pool.isReserved, false, 'no reserved metadata');
  }
}
