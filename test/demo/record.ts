// Makes docs/pictures/demo.svg anew from a real run on a terminal: node test/demo/record.ts
//
// The commands run as they are shown; a wrapper named sparsebak adds --config, so that the lines stay short.

import { chmodSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { makeScratch, sweepScratch } from '../fixtures/scratch.ts';
import { drawing, type Shown } from './terminal-svg.ts';

const root = join(import.meta.dirname, '../..');
const MIB = 2 ** 20;
const COLUMNS = 92;

const folder = makeScratch('record');
const volumes = join(folder, 'volumes');

function prepare(): void {
  mkdirSync(join(volumes, 'personal'), { recursive: true });
  mkdirSync(join(volumes, 'vault'));
  mkdirSync(join(folder, 'backup'));
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(volumes, 'personal/private.img'), randomBytes(48 * MIB));
  truncateSync(join(volumes, 'personal/private.img'), 256 * MIB);
  writeFileSync(join(volumes, 'vault/private.img'), randomBytes(4 * MIB));
  writeFileSync(join(folder, 'passphrase'), 'correct horse battery staple\n');
  const lines = [
    `destination = "local:${folder}/backup"`,
    'archive = "laptop"',
    `state_dir = "${folder}/state"`,
    '[pool.main]',
    'type = "file"',
    `path = "${volumes}"`,
    'volumes = ["*/private.img"]',
  ];
  writeFileSync(join(folder, 'sparsebak.toml'), `${lines.join('\n')}\n`);
  const wrapper = join(folder, 'bin/sparsebak');
  writeFileSync(
    wrapper,
    `#!/bin/sh\nexec ${process.execPath} ${root}/dist/sparsebak.js --config ${folder}/sparsebak.toml "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
}

/** Runs it on a terminal of its own. @returns all that the terminal showed */
async function onTerminal(command: string): Promise<string> {
  const child = spawn('script', ['--quiet', '--return', '--command', `stty cols ${COLUMNS}; ${command}`, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: folder,
    env: {
      ...{ PATH: `${folder}/bin:${process.env.PATH ?? ''}`, HOME: folder, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
      SHELL: '/bin/sh',
    },
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command} ended with ${String(status)}: ${shown}`);
  return shown;
}

/** What stays on the screen: progress is written over. */
function remaining(shown: string): string[] {
  const lines = shown.split(/\r?\n/).map((line) => line.split('\r\u001b[K').at(-1) ?? '');
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

const steps: readonly (readonly [command: string, before?: () => void | Promise<void>])[] = [
  ['sparsebak init --passphrase-file passphrase --recovery-key-file recovery-key'],
  ['sparsebak send --full'],
  ['sparsebak send', () => change(3)],
  ['sparsebak send --tag before-upgrade', () => change(1)],
  ['sparsebak list'],
  ['sparsebak restore personal/private.img --to restored.img'],
  ['cmp restored.img volumes/personal/private.img && echo identical'],
];

async function change(mib: number): Promise<void> {
  // A second session of the same second would get the next one's name.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const { open } = await import('node:fs/promises');
  const file = await open(join(volumes, 'personal/private.img'), 'r+');
  await file.write(randomBytes(mib * MIB), 0, mib * MIB, 20 * MIB);
  await file.close();
}

prepare();
const all: Shown[] = [];
for (const [command, before] of steps) {
  await before?.();
  const began = performance.now();
  const shown = await onTerminal(command);
  const seconds = (performance.now() - began) / 1000;
  console.log(`${command}: ${seconds.toFixed(1)} s`);
  all.push({ command, lines: remaining(shown), seconds });
}
writeFileSync(join(root, 'docs/pictures/demo.svg'), drawing(all, COLUMNS));
rmSync(folder, { recursive: true });
sweepScratch();
