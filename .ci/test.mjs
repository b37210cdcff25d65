// Runs the tests on the development Node: all of them, or those of the given folders, files or globs. Options (--…) go
// to node as they are, for example --test-name-pattern=restore. Ends with every skipped test and its reason.
//
//   SPARSEBAK_TEST_MINUTES  the limit for the whole run (25)
//   CI                      when set, a skipped test is a failure: what runs there must run everything

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeScratch, sweepScratch } from '../test/fixtures/scratch.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const limitMinutes = Number(process.env.SPARSEBAK_TEST_MINUTES ?? 25);

/** A test file for each core at a time; and a test ends within three minutes, unless it asks for more itself. */
const options = ['--test-concurrency=2', '--test-timeout=180000'];

/** @param {string} pattern */
function filesOf(pattern) {
  const isFolder = statSync(pattern, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return globSync(isFolder ? join(pattern, '**/*.test.ts') : pattern);
}

/** @param {string[]} args @returns {Promise<number>} */
async function nodeTest(args) {
  // A group of its own, so that a run that hangs ends with all that it started.
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true });
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // Nobody is left.
    }
  };
  const limit = setTimeout(() => {
    console.error(`test: not done after ${limitMinutes} minutes: stopped`);
    end('SIGKILL');
  }, limitMinutes * 60_000);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => end(signal));
  const [code] = await once(child, 'exit');
  clearTimeout(limit);
  // What tests left running holds their file systems; the sweep that follows takes only what nobody owns.
  end('SIGKILL');
  await delay(100);
  return code ?? 1;
}

/** @param {string} file @returns {{ executed: number, skipped: { file: string, line: number, name: string, reason: string }[] }} */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { executed: 0, skipped: [] };
  }
}

/** @param {number} executed @param {ReturnType<typeof readReport>['skipped']} skipped */
function verdictOf(executed, skipped) {
  for (const { file, line, name, reason } of skipped) {
    const where = file === '' ? '' : `  ${relative(root, file)}:${line}`;
    console.log(`skipped: ${name}: ${reason === '' ? 'no reason given' : reason}${where}`);
  }
  if (executed === 0) {
    console.error('test: no test ran');
    return 1;
  }
  if (skipped.length > 0 && (process.env.CI ?? '') !== '') {
    console.error(`test: ${skipped.length} tests were skipped, and CI must run them all`);
    return 1;
  }
  return 0;
}

const args = process.argv.slice(2);
const flags = args.filter((arg) => arg.startsWith('-'));
const patterns = args.filter((arg) => !arg.startsWith('-'));
if (patterns.length === 0) patterns.push('test');

const files = [...new Set(patterns.flatMap(filesOf))].sort();
if (files.length === 0) {
  console.error(`test: no test file matches ${patterns.join(' ')}`);
  process.exit(1);
}

for (const folder of sweepScratch()) console.error(`test: removed what a killed run left: ${folder}`);
const reports = makeScratch('report');
const report = join(reports, 'skips.json');
const code = await nodeTest([
  '--test',
  ...options,
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  `--test-reporter=${join(root, '.ci/skips-reporter.mjs')}`,
  `--test-reporter-destination=${report}`,
  ...flags,
  ...files,
]);
const { executed, skipped } = readReport(report);
rmSync(reports, { recursive: true, force: true });
sweepScratch();
process.exitCode = Math.max(code, verdictOf(executed, skipped));
