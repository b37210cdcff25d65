// Runs one command after saying which, and measures it.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Ran {
  readonly stdout: string;
  readonly seconds: number;
  /** All that the process itself read, by the kernel's count; undefined where there is no such count. */
  readonly readBytes: number | undefined;
}

/** How often the kernel's count is looked at: a process's last look is at most so many milliseconds before its end. */
const LOOK = 5;

export class Commands {
  readonly #signal: AbortSignal;
  readonly #env: NodeJS.ProcessEnv;
  readonly #shorten: readonly (readonly [path: string, shown: string])[];

  /** @param shorten what is shown in place of long paths */
  constructor(
    signal: AbortSignal,
    options: { readonly env: NodeJS.ProcessEnv; readonly shorten: readonly (readonly [string, string])[] },
  ) {
    this.#signal = signal;
    this.#env = options.env;
    this.#shorten = options.shorten;
  }

  /** Shows the command and what it says. @throws when it fails or the demo is interrupted */
  async show(program: string, args: readonly string[]): Promise<Ran> {
    const ran = await this.quiet(program, args);
    for (const line of ran.stdout.trimEnd().split('\n')) if (line !== '') console.log(`    ${this.#shown(line)}`);
    return ran;
  }

  /** Shows the command alone. */
  async quiet(program: string, args: readonly string[]): Promise<Ran> {
    this.#signal.throwIfAborted();
    console.log(`  $ ${this.#shown([program, ...args].map(quoted).join(' '))}`);
    const began = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: this.#env });
    const stop = (): void => {
      child.kill('SIGTERM');
    };
    this.#signal.addEventListener('abort', stop);
    let readBytes: number | undefined;
    const look = setInterval(() => (readBytes = readBytesOf(child.pid) ?? readBytes), LOOK);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    try {
      const status = await new Promise<number | string>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, signal) => {
          resolve(code ?? signal ?? 'unknown');
        });
      });
      this.#signal.throwIfAborted();
      if (status !== 0) throw new Error(`${program} ended with ${String(status)}`);
      return { stdout: Buffer.concat(chunks).toString(), seconds: (performance.now() - began) / 1000, readBytes };
    } finally {
      clearInterval(look);
      this.#signal.removeEventListener('abort', stop);
    }
  }

  #shown(text: string): string {
    return this.#shorten.reduce((shown, [path, name]) => shown.replaceAll(path, name), text);
  }
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function readBytesOf(pid: number | undefined): number | undefined {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/io`, 'utf8'))?.[1] ?? NaN) || undefined;
  } catch {
    return undefined;
  }
}
