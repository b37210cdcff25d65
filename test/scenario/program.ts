// The real program as a child process, the way a person or a timer starts it.

import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as z from '../../shared/zod.ts';
import { limit } from '../fixtures/limits.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const bundle = join(root, 'dist/sparsebak.js');

/** The built bundle, which `npm test` makes; the sources where there is none. */
export const AGENT = existsSync(bundle) ? bundle : join(root, 'dom0-agent/main.ts');
export const RECEIVER = existsSync(bundle)
  ? join(root, 'dist/sparsebak-receiver.js')
  : join(root, 'vm-receiver/main.ts');

/** A run that takes longer hangs. */
const LIMIT = limit(120_000);

export interface RunOptions {
  readonly agent?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Put ahead of all: `strace …`. */
  readonly wrapper?: readonly string[];
  readonly cwd?: string;
  readonly stdin?: string;
}

export class Ran {
  readonly args: readonly string[];
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(
    args: readonly string[],
    [status, signal]: [number | null, NodeJS.Signals | null],
    out: string,
    err: string,
  ) {
    this.args = args;
    this.status = status;
    this.signal = signal;
    this.stdout = out;
    this.stderr = err;
  }

  /** Itself, if it ended with this exit status. */
  expect(status: number): this {
    if (this.status !== status) throw new Error(`not exit status ${String(status)}: ${this.describe()}`);
    return this;
  }

  /** Itself, if it was killed. */
  expectKilled(): this {
    if (this.signal !== 'SIGKILL' && this.status !== 137) throw new Error(`not killed: ${this.describe()}`);
    return this;
  }

  /** Standard output, which must be exactly one document of this form. */
  json<T>(schema: z.ZodMiniType<T>): T {
    try {
      return schema.parse(JSON.parse(this.stdout));
    } catch (error) {
      throw new Error(`not the document: ${this.describe()}`, { cause: error });
    }
  }

  describe(): string {
    const how = this.signal ?? `exit status ${String(this.status)}`;
    return `sparsebak ${this.args.join(' ')}: ${how}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`;
  }
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
}

/** Starts the agent; its arguments as on a command line. */
export function start(
  args: readonly string[],
  { agent = AGENT, env, wrapper = [], cwd, stdin }: RunOptions = {},
): Running {
  const node = [process.execPath, '--disallow-code-generation-from-strings', agent];
  const command = [...wrapper, ...node, ...args];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: 'true', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  child.stdin?.end(stdin);
  return { child, ended: end(child, args) };
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return await start(args, options).ended;
}

async function end(child: ChildProcess, args: readonly string[]): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const clock = setTimeout(() => {
    stderr += '\n(the test killed it: it hung)';
    child.kill('SIGKILL');
  }, LIMIT);
  const how = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    // Not `close`: a killed agent's receiver may hold its standard error for a moment longer.
    child.once('exit', (status, signal) => {
      if (signal === null) child.once('close', () => resolve([status, signal]));
      else resolve([status, signal]);
    });
  });
  clearTimeout(clock);
  return new Ran(args, how, stdout, stderr);
}

export const INTERPOSED = join(root, 'test/scenario/interposed.ts');

/** A copy of the agent whose receiver, beside it, is the one of interposed.ts. */
export function interposedAgent(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const interposed = pathToFileURL(INTERPOSED).href;
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(folder, 'sparsebak-receiver.js'), `await import(${JSON.stringify(interposed)});\n`);
  if (AGENT !== bundle) throw new Error('an interposed receiver needs the bundle: node .ci/build.mjs');
  const agent = join(folder, 'sparsebak.js');
  copyFileSync(bundle, agent);
  return agent;
}
