// Runs tests on the development Node: those of a tier, or those of the given folders, files or globs, of whatever tier.
// Options (--…) go to node as they are, for example --test-name-pattern=restore. Ends with each skipped test and its
// reason, and the slowest tests.
//
//   --tier=short|guest|long  which of the tiers of tiers.mjs (short)
//   SPARSEBAK_TEST_SILENCE   minutes in which no test begins, prints or ends, after which a run is stopped (10)
//   SPARSEBAK_TEST_FAILURES  a file to which the failed tests are written, for runs of several tiers
//   CI                       when set, a skipped test is a failure: what runs there must run everything
//
// A run as a whole has no time limit, so that a slow machine causes no failure. It ends when no test began, ended or
// printed anything for ten minutes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, globSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { makeScratch, sweepScratch } from '../test/fixtures/scratch.ts';
import { measureSlowness } from './speed.mjs';
import { TestRun } from './test-run.mjs';
import { TIERS, passesOf } from './tiers.mjs';

const root = join(fileURLToPath(import.meta.url), '../..');

const SILENCE_MINUTES = Number(process.env.SPARSEBAK_TEST_SILENCE ?? 10);
/** The limit for one test, unless it sets a longer one; multiplied by the slowness of the machine. */
const TEST_MINUTES = 3;
const SLOWEST_SHOWN = 20;
const FAILURE_LINES = 12;

/** @param {string} pattern */
function filesOf(pattern) {
  const isFolder = statSync(pattern, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return globSync(isFolder ? join(pattern, '**/*.test.ts') : pattern);
}

/**
 * @param {readonly string[]} args @returns what is to be run, one pass after another
 */
function plan(args) {
  const tier = args.find((arg) => arg.startsWith('--tier='))?.slice('--tier='.length);
  const flags = args.filter((arg) => arg.startsWith('-') && !arg.startsWith('--tier='));
  const patterns = args.filter((arg) => !arg.startsWith('-'));
  const known = TIERS.find((each) => each === (tier ?? 'short'));
  if (known === undefined) throw new Error(`there is no tier "${tier}"; there are ${TIERS.join(', ')}`);
  if (patterns.length === 0) return { flags, passes: passesOf(known, root) };
  if (tier !== undefined) throw new Error('give a tier or paths, not both');
  const files = [...new Set(patterns.flatMap(filesOf))].sort();
  if (files.length === 0) throw new Error(`no test file matches ${patterns.join(' ')}`);
  return { flags, passes: [{ name: patterns.join(' '), files, env: {} }] };
}

/** @param {readonly string[]} args @param {NodeJS.ProcessEnv} env @param {TestRun} run @returns {Promise<number>} */
async function nodeTest(args, env, run) {
  // A process group of its own, so that a hanging run ends with everything that it started.
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true, env });
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group has no process left.
    }
  };
  let hung = false;
  const watch = setInterval(() => {
    if (hung || run.silentMinutes() < SILENCE_MINUTES) return;
    hung = true;
    console.error(`test: nothing was reported for ${SILENCE_MINUTES} minutes: stopped. These tests were running:`);
    for (const { file, name } of run.running()) console.error(`  ${relative(root, file)}: ${name}`);
    end('SIGKILL');
  }, 1000);
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  const handlers = signals.map((signal) => /** @type {const} */ ([signal, () => end(signal)]));
  for (const [signal, handler] of handlers) process.on(signal, handler);
  const [code] = await once(child, 'exit');
  clearInterval(watch);
  for (const [signal, handler] of handlers) process.off(signal, handler);
  // Processes that tests left running keep file systems in use; the following sweep removes only those without an
  // owner.
  end('SIGKILL');
  await delay(100);
  return code ?? 1;
}

/** @param {TestRun} run @returns whether the run as a whole may count as passed, whatever its single tests say */
function isComplete(run) {
  for (const { file, line, name, skip } of run.skipped) {
    const where = file === '' ? '' : `  ${relative(root, file)}:${line}`;
    console.log(`skipped: ${name}: ${skip === '' ? 'no reason given' : skip}${where}`);
  }
  if (run.executed === 0) {
    console.error('test: no test ran');
    return false;
  }
  if (run.skipped.length > 0 && (process.env.CI ?? '') !== '') {
    console.error(`test: ${run.skipped.length} tests were skipped, and CI must run them all`);
    return false;
  }
  return true;
}

/** @param {TestRun} run */
function showSlowest(run) {
  const slowest = run.slowest(SLOWEST_SHOWN);
  if (slowest.length < 2) return;
  console.log('\nslowest tests:');
  for (const { file, name, milliseconds } of slowest) {
    console.log(`${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${relative(root, file)}: ${name}`);
  }
  console.log('\nslowest files:');
  for (const [file, milliseconds] of run.slowestFiles(SLOWEST_SHOWN)) {
    console.log(`${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${relative(root, file)}`);
  }
}

/** @param {TestRun} run prints the failed tests once more, after everything else */
function showFailures(run) {
  if (run.failures.length === 0) return;
  const lines = run.failures.map(({ file, line, name, error }) => {
    const message = (error ?? '').split('\n').slice(0, FAILURE_LINES).join('\n    ');
    return `  ${relative(root, file)}:${line}: ${name}\n    ${message}\n`;
  });
  const text = `\nfailed tests:\n${lines.join('')}`;
  console.log(text);
  const path = process.env.SPARSEBAK_TEST_FAILURES;
  if (path !== undefined) appendFileSync(path, text);
}

/** Node's cache of compiled code and stripped types, since thousands of programs and test files start. */
const COMPILE_CACHE = join(root, 'node_modules/.cache/compile');

async function main() {
  const { flags, passes } = plan(process.argv.slice(2));
  const slowness = measureSlowness();
  if (slowness > 1.5) console.error(`test: this machine is ${slowness.toFixed(1)} times slower than the reference`);
  for (const folder of sweepScratch()) console.error(`test: removed what a killed run left: ${folder}`);
  const scratch = makeScratch('events');
  const began = Date.now();
  const run = new TestRun(join(scratch, 'events'));
  let failed = false;
  for (const { name, files, env } of passes) {
    if (passes.length > 1) console.log(`\n# ${name}: ${files.length} files`);
    const args = [
      '--test',
      // One file per core at a time.
      '--test-concurrency=2',
      `--test-timeout=${Math.round(TEST_MINUTES * 60_000 * slowness)}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(root, '.ci/events-reporter.mjs')}`,
      `--test-reporter-destination=${run.begin()}`,
      ...flags,
      ...files,
    ];
    const own = { SPARSEBAK_TEST_SLOWNESS: slowness.toFixed(2), NODE_COMPILE_CACHE: COMPILE_CACHE };
    const code = await nodeTest(args, { ...process.env, ...env, ...own }, run);
    run.end();
    failed ||= code !== 0;
  }
  rmSync(scratch, { recursive: true, force: true });
  sweepScratch();
  showSlowest(run);
  showFailures(run);
  const complete = isComplete(run);
  console.log(`\n${((Date.now() - began) / 60_000).toFixed(1)} minutes`);
  console.log(`${run.passed} passed, ${run.failures.length} failed, ${run.skipped.length} skipped`);
  return failed || !complete ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`test: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
