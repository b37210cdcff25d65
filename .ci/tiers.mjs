// Which tests run when. A file belongs to exactly one tier: those named here to theirs, every other one to `short`.
//
//   short   npm test              what a person runs before each commit
//   guest   npm run test:guest    thin pools of LVM, in a virtual machine without KVM
//   long    npm run test:long     random histories, kills, and every scenario over the stand-in for qrexec

import { globSync } from 'node:fs';
import { matchesGlob } from 'node:path';

/** @typedef {'short' | 'guest' | 'long'} Tier */

/** @type {Record<Exclude<Tier, 'short'>, readonly string[]>} */
const NAMED = {
  guest: ['test/guest/**'],
  long: [
    // Random histories.
    'test/scenario/{histories,life-model}.test.ts',
    'test/vm-receiver/store/life.property.test.ts',
    'test/dom0-agent/capture/crash.test.ts',
    // Kills and cuts.
    'test/scenario/{killed,life-cut,resume}.test.ts',
    'test/scenario/qubes/killed.test.ts',
    'test/vm-receiver/store/{faults,later-faults}.test.ts',
    // Every place and every answer of a hostile archive.
    'test/fault/{moved,hostile-receiver}.test.ts',
    // Large and many volumes.
    'test/scenario/{large,many-volumes}.test.ts',
  ],
};

export const TIERS = /** @type {const} */ (['short', 'guest', 'long']);

/** @param {string} file relative to the checkout @returns {Tier} */
export function tierOf(file) {
  for (const tier of /** @type {const} */ (['guest', 'long'])) {
    if (NAMED[tier].some((pattern) => matchesGlob(file, pattern))) return tier;
  }
  return 'short';
}

/**
 * What a tier runs: passes one after another, each with an environment of its own.
 * @param {Tier} tier @param {string} root of the checkout
 * @returns {{ name: string, files: string[], env: Record<string, string> }[]}
 */
export function passesOf(tier, root) {
  const all = globSync('test/**/*.test.ts', { cwd: root }).sort();
  const unused = Object.values(NAMED)
    .flat()
    .filter((pattern) => !all.some((file) => matchesGlob(file, pattern)));
  if (unused.length > 0) throw new Error(`.ci/tiers.mjs names what is not there: ${unused.join(', ')}`);
  const own = { name: tier, files: all.filter((file) => tierOf(file) === tier), env: {} };
  if (tier !== 'long') return [own];
  const scenarios = all.filter((file) => matchesGlob(file, 'test/scenario/*.test.ts'));
  return [own, { name: 'long, over the stand-in for qrexec', files: scenarios, env: { SPARSEBAK_LINK: 'qubes' } }];
}
