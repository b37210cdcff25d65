// The scenarios of inside/, run in one boot of the guest, each reported as a test of its own as soon as it is done.

import { existsSync, mkdirSync, writeFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import { build, type Plugin } from 'esbuild';
import { bundleOf, PROGRAMS } from '../fixtures/qubesd/program-file.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { guestImage } from './image.ts';
import { runGuest } from './machine.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const NEEDED = ['qemu-system-x86_64', 'lvm', 'dmsetup', 'thin_delta', 'mkfs.ext4', 'dpkg-deb', 'apt-get'];

/** The value for node:test's `skip`: false where the guest can be run, else the reason why not. */
export function guestSkip(): string | false {
  if (process.arch !== 'x64') return 'machine: the guest is for x86-64';
  const path = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  const missing = NEEDED.filter((program) => !path.some((folder) => existsSync(join(folder, program))));
  return missing.length === 0 ? false : `machine: no ${missing.join(', ')}`;
}

/**
 * Milliseconds. No limit in practice: a boot is ended when it has said nothing for some minutes, however long it takes.
 */
export const LONGEST_BOOT = 12 * 3_600_000;

export interface SuiteOptions {
  /** The module in inside/ that has the scenarios. */
  readonly entry: string;
  readonly disks: readonly { readonly name: string; readonly megabytes: number }[];
}

export async function runSuite(test: TestContext, { entry, disks }: SuiteOptions): Promise<void> {
  const image = await guestImage().catch((error: unknown) => String(error instanceof Error ? error.message : error));
  if (typeof image === 'string') {
    test.skip(`machine: the guest cannot be built: ${image.split('\n')[0] ?? ''}`);
    return;
  }
  const folder = makeScratch('suite');
  try {
    await layOut(folder, entry);
    const reports: Promise<unknown>[] = [];
    let notes: string[] = [];
    const report = (name: string, ok: boolean, reason?: string): void => {
      const text = notes.join('\n');
      notes = [];
      const result = (t: TestContext): void => {
        if (reason !== undefined) {
          t.skip(reason);
          return;
        }
        if (!ok) throw failure(text);
        if (text !== '') console.log(text);
      };
      reports.push(test.test(name, result));
    };
    let planned: number | undefined;
    // As TAP has it, but for the notes, which come before the result that they belong to.
    let before = 0;
    const onLine = (line: string, seconds: number): void => {
      const [, not, name, reason] = /^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$/.exec(line) ?? [];
      if (name !== undefined) {
        report(`${name} (${(seconds - before).toFixed(1)} s)`, not === undefined, reason);
        before = seconds;
      } else if (/^1\.\.\d+$/.test(line)) planned = Number(line.slice(3));
      else notes.push(line.replace(/^# /, ''));
    };
    const status = await runGuest({ image, suite: folder, disks, onLine });
    if (planned !== reports.length || notes.length > 0) report('the suite ran to its end', false);
    await Promise.all(reports);
    if (status !== 0 && status !== 1) throw new Error(`the suite ended with status ${status}`);
  } finally {
    removeScratch(folder);
  }
}

/** The guest's own account; where this process made the error says nothing. */
function failure(text: string): Error {
  const error = new Error(text);
  error.stack = text;
  return error;
}

/** What the guest finds in /suite: the scenarios as one script, the stand-in of qubesd, and the programs as built. */
async function layOut(folder: string, entry: string): Promise<void> {
  await bundle(`test/guest/inside/${entry}`, join(folder, 'suite.mjs'));
  await bundle('test/guest/agent/main.ts', join(folder, 'agent.mjs'), [allInOneProcess]);
  await bundle('dom0-agent/pipeline/worker-main.ts', join(folder, 'thread.mjs'));
  for (const program of PROGRAMS) await bundle(`test/fixtures/qubesd/${program}.ts`, join(folder, bundleOf(program)));
  for (const name of ['sparsebak.js', 'sparsebak-receiver.js', 'sparsebak-qube.cjs'])
    copyFileSync(join(root, 'dist', name), join(folder, name));
  mkdirSync(join(folder, 'interposed'));
  copyFileSync(join(folder, 'sparsebak.js'), join(folder, 'interposed/sparsebak.js'));
  // Beside the agent, in the place of its receiver.
  await bundle('test/scenario/interposed.ts', join(folder, 'interposed/sparsebak-receiver.js'));
  writeFileSync(join(folder, 'interposed/package.json'), '{"type":"module"}\n');
  copyFileSync(join(here, 'inside/reporter.mjs'), join(folder, 'reporter.mjs'));
  copyFileSync(join(root, 'qubes-rpc/udev/12-sparsebak.rules'), join(folder, '12-sparsebak.rules'));
  const { SEED = '', SPARSEBAK_GUEST_ONLY: only = '' } = process.env;
  const options = ['--test-reporter=/suite/reporter.mjs', '--test-reporter-destination=stdout', '--enable-source-maps'];
  if (only !== '') options.push(`--test-name-pattern=${quoted(only)}`);
  // Where every instruction is emulated, reading the programs' code anew costs seconds, and compiling it never pays.
  const flags = ['--no-opt', '--no-sparkplug', '--no-maglev'].map((flag) => `v8.setFlagsFromString('${flag}');`);
  writeFileSync(join(folder, 'flags.cjs'), `const v8 = require('node:v8');\n${flags.join('\n')}\n`);
  const cache = 'NODE_COMPILE_CACHE=/tmp/compiled NODE_OPTIONS=--require=/suite/flags.cjs ';
  const seed = SEED === '' ? '' : `SEED=${quoted(SEED)} `;
  writeFileSync(join(folder, 'run'), `${cache}${seed}exec node ${options.join(' ')} /suite/suite.mjs\n`);
}

/** What agent/ has in the place of the agent's own. */
const allInOneProcess: Plugin = {
  name: 'all-in-one-process',
  setup(setup) {
    const places = [
      { from: 'dom0-agent/link/open-link.ts', filter: /\/receiver-process\.ts$/, to: 'receiver.ts' },
      { from: 'dom0-agent/cli/program.ts', filter: /\/families\.ts$/, to: 'families.ts' },
      { from: 'dom0-agent/pipeline/worker-group.ts', filter: /^node:worker_threads$/, to: 'threads.ts' },
    ];
    const unmet = new Set(places);
    for (const place of places)
      setup.onResolve({ filter: place.filter }, ({ importer }) => {
        if (importer !== join(root, place.from)) return undefined;
        unmet.delete(place);
        return { path: join(here, 'agent', place.to) };
      });
    setup.onEnd(() => ({
      errors: [...unmet].map(({ from, to }) => ({ text: `${from} imports nothing that ${to} replaces` })),
    }));
  },
};

async function bundle(entry: string, outfile: string, plugins: Plugin[] = []): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    logLevel: 'warning',
    plugins,
    banner: {
      js: "import { createRequire as suiteRequire } from 'node:module'; const require = suiteRequire(import.meta.url);",
    },
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
