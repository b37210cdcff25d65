// Assigns each test file to exactly one tier: those named here to theirs, every other one to `short`.
//
//   short   npm test              what a person runs before each commit
//   guest   npm run test:guest    thin pools of LVM, in a virtual machine without KVM
//   long    npm run test:long     random histories, kills, and the scenarios over the stand-in for qrexec

import { globSync } from 'node:fs';
import { matchesGlob } from 'node:path';

/** @typedef {'short' | 'guest' | 'long'} Tier */

/** @type {Record<Exclude<Tier, 'short'>, readonly string[]>} */
const NAMED = {
  guest: ['test/guest/**'],
  long: [
    // Random histories.
    'test/vm-receiver/store/life.property.test.ts',
    'test/dom0-agent/capture/crash.test.ts',
    // Kills and cuts.
    'test/scenario/killed.test.ts',
    'test/scenario/qubes/{killed,qube-restore-killed}.test.ts',
    'test/vm-receiver/service/endings.test.ts',
    'test/vm-receiver/store/{faults,kept-faults,later-faults}.test.ts',
    // Every place and every answer of a hostile archive; damage of the receiver's own files.
    'test/fault/{flipped,moved,hostile-receiver}.test.ts',
    'test/vm-receiver/store/own-files.test.ts',
    // Large and many volumes; links and file systems of their own.
    'test/scenario/{large,many-volumes,ssh}.test.ts',
    'test/scenario/qubes/link.test.ts',
    'test/dom0-agent/source/reflink-edits.test.ts',
    // Packages with Node inside, made twice.
    'test/package/reproducible.test.ts',
  ],
};

/** Scenarios that do not test the link: the long tier runs them once, over the stand-in for qrexec. */
const OVER_QREXEC = [
  'test/scenario/{clock,error-codes,forks,new-disk,nobody-left-out,one-volume,others-folder}.test.ts',
  'test/scenario/{histories,keys,life,life-cut,life-model,processes,resume}.test.ts',
  'test/scenario/{repair,restore-to-pool,running-qubes,selection,slots,state,unauthenticated}.test.ts',
];

/** Scenarios with a link of their own, or whose subject does not depend on the link: never over the stand-in. */
const NOT_OVER_QREXEC = [
  'test/scenario/{commands,doctor,identity,killed,known-heads,large,many-volumes}.test.ts',
  'test/scenario/{notices,setup,ssh,status,terminal,whole-qubes,width}.test.ts',
];

export const TIERS = /** @type {const} */ (['short', 'guest', 'long']);

/** @param {string} file @param {readonly string[]} patterns */
const isAmong = (file, patterns) => patterns.some((pattern) => matchesGlob(file, pattern));

/** @param {string} file relative to the checkout @returns {Tier} */
export function tierOf(file) {
  if (isAmong(file, NAMED.guest)) return 'guest';
  return isAmong(file, NAMED.long) || isAmong(file, OVER_QREXEC) ? 'long' : 'short';
}

/**
 * What a tier runs: passes one after another, each with an environment of its own.
 * @param {Tier} tier @param {string} root of the checkout
 * @returns {{ name: string, files: string[], env: Record<string, string> }[]}
 */
export function passesOf(tier, root) {
  const all = globSync('test/**/*.test.ts', { cwd: root }).sort();
  const patterns = [...NAMED.guest, ...NAMED.long, ...OVER_QREXEC, ...NOT_OVER_QREXEC];
  const unused = patterns.filter((pattern) => !all.some((file) => matchesGlob(file, pattern)));
  if (unused.length > 0) throw new Error(`.ci/tiers.mjs names files that do not exist: ${unused.join(', ')}`);
  const own = all.filter((file) => tierOf(file) === tier && !isAmong(file, OVER_QREXEC));
  const pass = { name: tier, files: own, env: {} };
  if (tier !== 'long') return [pass];
  const scenarios = all.filter(
    (file) => matchesGlob(file, 'test/scenario/*.test.ts') && !isAmong(file, NOT_OVER_QREXEC),
  );
  return [pass, { name: 'long, over the stand-in for qrexec', files: scenarios, env: { SPARSEBAK_LINK: 'qubes' } }];
}
