// A real shell on a terminal, with the completion from dist/. What is typed is completed and run; the programs only
// note their arguments, except "complete", which is the real one or a list.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { limit } from '../fixtures/limits.ts';
import { scratchFor } from '../fixtures/scratch.ts';

const completion = join(import.meta.dirname, '../../dist/completion');

const PROMPT = 'type> ';

/** How each shell starts without anyone's settings, and loads the completion. */
const SHELLS = {
  bash: {
    start: ['bash', '--norc', '--noprofile', '-i'],
    load: `. ${completion}/bash/sparsebak; . ${completion}/bash/sparsebak-receiver; PS1='${PROMPT}'`,
  },
  zsh: {
    start: ['zsh', '-f', '-i'],
    load: `fpath=(${completion}/zsh $fpath); autoload -Uz compinit; compinit -u -D; PS1='${PROMPT}'`,
  },
  fish: {
    start: ['fish', '--no-config', '-i'],
    load: `source ${completion}/fish/sparsebak.fish; source ${completion}/fish/sparsebak-receiver.fish; function fish_prompt; echo -n '${PROMPT}'; end`,
  },
} as const;

export type ShellName = keyof typeof SHELLS;
export const SHELL_NAMES = Object.keys(SHELLS) as ShellName[];

export function shellSkip(shell: ShellName): string | false {
  const found = [shell, 'script'].every((name) => existsSync(`/usr/bin/${name}`) || existsSync(`/bin/${name}`));
  return found ? false : `machine: no ${shell} or no script(1)`;
}

interface TestLike {
  after: (cleanUp: () => void) => void;
}

export class TypingShell {
  readonly #child: ChildProcess;
  readonly #ran: string;
  readonly #home: string;
  #shown = '';
  #taken = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#ran = join(folder, 'ran');
    this.#home = join(folder, 'home');
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#shown += text;
    });
  }

  /** @param complete the shell command that answers "sparsebak … complete …", of whose arguments it has "$@" */
  static async open(test: TestLike, shell: ShellName, complete: string): Promise<TypingShell> {
    const folder = scratchFor(test);
    const home = join(folder, 'home');
    mkdirSync(join(folder, 'bin'));
    mkdirSync(home);
    const note = `{ printf '%s\\0' "$@"; printf '\\001'; } >> '${folder}/ran'`;
    for (const program of ['sparsebak', 'sparsebak-receiver']) {
      const path = join(folder, 'bin', program);
      writeFileSync(path, `#!/bin/sh\nfor word; do [ "$word" = complete ] && ${complete}; done\n${note}\n`);
      chmodSync(path, 0o755);
    }
    const { start, load } = SHELLS[shell];
    const child = spawn('script', ['--quiet', '--command', `stty cols 200; exec ${start.join(' ')}`, '/dev/null'], {
      cwd: home,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: `${folder}/bin:${process.env.PATH ?? ''}`,
        HOME: home,
        TERM: 'xterm',
        LANG: 'C.UTF-8',
        SHELL: '/bin/sh',
      },
    });
    test.after(() => child.kill('SIGKILL'));
    const typing = new TypingShell(child, folder);
    child.stdin.write(` ${load}\n`);
    await typing.#until(PROMPT);
    return typing;
  }

  /** Types this line, of which each tab completes, and runs it. @returns the arguments that the program got */
  async type(line: string): Promise<string[]> {
    const before = this.#lines().length;
    this.#taken = this.#shown.length;
    this.#child.stdin?.write(`${line}\r`);
    for (const began = Date.now(); this.#lines().length === before;) {
      assert.ok(
        Date.now() - began < limit(20_000),
        `${line}: nothing was run: ${JSON.stringify(this.#shown.slice(-2000))}`,
      );
      await pause();
    }
    await this.#until(PROMPT);
    return this.#lines().at(-1)!.split('\0').slice(0, -1);
  }

  /** All that the terminal showed. */
  get shown(): string {
    return this.#shown;
  }

  /** Whether there is such a file in the folder where the shell runs. */
  made(name: string): boolean {
    return existsSync(join(this.#home, name));
  }

  #lines(): string[] {
    return existsSync(this.#ran) ? readFileSync(this.#ran, 'utf8').split('\x01').slice(0, -1) : [];
  }

  async #until(text: string): Promise<void> {
    for (const began = Date.now(); !this.#shown.slice(this.#taken).includes(text);) {
      assert.ok(Date.now() - began < limit(20_000), `no "${text}": ${JSON.stringify(this.#shown.slice(-2000))}`);
      await pause();
    }
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
