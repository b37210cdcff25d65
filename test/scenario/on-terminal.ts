// A program on a terminal of its own, by script(1).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { limit } from '../fixtures/limits.ts';
import type { BackupSystem } from './backup-system.ts';
import { AGENT } from './program.ts';

/** To the start of the line, and nothing behind it. */
export const CLEAR = '\r\u001b[K';
export const terminalSkip: string | false = existsSync('/usr/bin/script') ? false : 'machine: no script(1)';

export interface Typed {
  /** A text that must have appeared since the last answer. */
  readonly after: string;
  readonly type: string;
}

/** The agent, or another program, on a terminal of its own; gives its exit status and all that the terminal showed. */
export async function onTerminal(
  lab: Pick<BackupSystem, 'config' | 'folder' | 'env'>,
  args: readonly string[],
  answers: readonly Typed[],
  {
    columns = 100,
    program = AGENT,
    env = { NO_COLOR: '1' },
  }: { readonly columns?: number; readonly program?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ status: number | null; shown: string }> {
  const node = [process.execPath, '--disallow-code-generation-from-strings', program];
  const command = [...node, ...(program === AGENT ? ['--config', lab.config] : []), ...args];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = spawn(
    'script',
    ['--quiet', '--return', '--command', `stty cols ${columns}; exec ${quoted}`, '/dev/null'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: lab.folder,
      env: { ...process.env, ...lab.env, ...env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: 'true', SHELL: '/bin/sh' },
    },
  );
  child.stdin.on('error', () => undefined);
  let shown = '';
  let seen = 0;
  const waiting = [...answers];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    const [next] = waiting;
    if (next === undefined || !shown.slice(seen).includes(next.after)) return;
    waiting.shift();
    seen = shown.length;
    child.stdin.write(next.type);
  });
  const clock = setTimeout(() => child.kill('SIGKILL'), limit(60_000));
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(clock);
  assert.deepEqual(waiting, [], `all answers were asked for: ${shown}`);
  return { status, shown };
}
