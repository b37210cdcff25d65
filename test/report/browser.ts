// A real browser without a window, for pages that are files.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratch } from '../fixtures/scratch.ts';
import { limit } from '../fixtures/limits.ts';

const CHROMIUM = '/usr/bin/chromium';

export const browserSkip: string | false = existsSync(CHROMIUM) ? false : 'machine: no chromium';

const QUIET = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'];

/** Runs it with these options on a file. @returns what it printed */
export function browse(file: string, options: readonly string[]): string {
  const profile = join(makeScratch('browser'), 'profile');
  const own = ['--headless', '--no-sandbox', '--disable-gpu', ...QUIET, '--disable-sync', `--user-data-dir=${profile}`];
  const { status, stdout, stderr, error } = spawnSync(CHROMIUM, [...own, ...options, `file://${file}`], {
    encoding: 'utf8',
    timeout: limit(60_000),
  });
  if (error !== undefined || status !== 0) throw new Error(`chromium: ${stderr}`, { cause: error });
  return stdout;
}

export const DARK = '--blink-settings=preferredColorScheme=0';
