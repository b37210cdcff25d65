// A process of the agent that runs one command after another, until it is killed. Every call waits for its answer: a
// scenario is a list of steps.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './commands.ts';

/** A command that takes longer hangs. Milliseconds. */
export const LIMIT = 300_000;

export interface Order {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly limit: number;
}

export interface Ran {
  /** Null where the agent was killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class AgentProcess {
  readonly #folder = mkdtempSync('/tmp/agent-');
  readonly #child: ChildProcess;
  readonly #orders: number;
  readonly #answers: number;
  #said = { stdout: 0, stderr: 0 };
  alive = true;

  constructor() {
    const [orders, answers] = ['orders', 'answers'].map((name) => join(this.#folder, name)) as [string, string];
    run('mkfifo', orders, answers);
    // A pipe that has both ends opens at once. Ours is the only end for orders, and the agent's for answers: so the end
    // of either is seen by the other.
    const [bothOrders, bothAnswers] = [openSync(orders, 'r+'), openSync(answers, 'r+')];
    const [theirs, words] = [openSync(orders, 'r'), openSync(answers, 'w')];
    [this.#orders, this.#answers] = [openSync(orders, 'w'), openSync(answers, 'r')];
    const [stdout, stderr] = ['stdout', 'stderr'].map((name) => openSync(join(this.#folder, name), 'a')) as [
      number,
      number,
    ];
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const file = '/suite/agent.mjs';
    this.#child = spawn('node', ['--disallow-code-generation-from-strings', file], {
      stdio: [theirs, stdout, stderr, words],
      env,
    });
    for (const each of [bothOrders, bothAnswers, theirs, words, stdout, stderr]) closeSync(each);
    this.#child.unref();
  }

  run(args: readonly string[], environment: NodeJS.ProcessEnv): Ran {
    writeSync(this.#orders, `${JSON.stringify({ args, environment, limit: LIMIT } satisfies Order)}\n`);
    const bytes = Buffer.alloc(16);
    const answer = bytes.toString('utf8', 0, readSync(this.#answers, bytes)).trim();
    this.alive = /^\d+$/.test(answer);
    const words = { stdout: this.#new('stdout'), stderr: this.#new('stderr') };
    if (!this.alive && answer !== '') throw new Error(`the agent's process ${answer}: ${words.stderr}`);
    return { status: this.alive ? Number(answer) : null, ...words };
  }

  #new(stream: 'stdout' | 'stderr'): string {
    const all = readFileSync(join(this.#folder, stream));
    const text = all.toString('utf8', this.#said[stream]);
    this.#said = { ...this.#said, [stream]: all.length };
    return text;
  }

  end(): void {
    closeSync(this.#orders);
    closeSync(this.#answers);
    rmSync(this.#folder, { recursive: true });
  }
}
