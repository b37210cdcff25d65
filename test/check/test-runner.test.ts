// What `npm test` itself promises: each test file has its tier, a hung run ends and says why, and a limit of a test
// grows with the machine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, it } from 'node:test';
import { TIERS, passesOf } from '../../.ci/tiers.mjs';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';

const root = join(fileURLToPath(import.meta.url), '../../..');

describe('tiers', () => {
  const all = globSync('test/**/*.test.ts', { cwd: root }).sort();

  it('run every test file, and those of the short one in no other but over the stand-in', () => {
    const passes = TIERS.flatMap((tier) => passesOf(tier, root));
    assert.deepEqual([...new Set(passes.flatMap(({ files }) => files))].sort(), all);
    const own = passes.filter(({ env }) => env.SPARSEBAK_LINK === undefined).flatMap(({ files }) => files);
    assert.equal(own.length, new Set(own).size);
  });

  it('take every scenario over the stand-in for qrexec in the long one, but for those that are the same over any link', () => {
    const over = passesOf('long', root).filter(({ env }) => env.SPARSEBAK_LINK === 'qubes');
    const ran = new Set(over.flatMap(({ files }) => files));
    const left = globSync('test/scenario/*.test.ts', { cwd: root }).filter((file) => !ran.has(file));
    assert.deepEqual(left.map((file) => file.replace('test/scenario/', '').replace('.test.ts', '')).sort(), [
      'commands',
      'doctor',
      'identity',
      'killed',
      'known-heads',
      'large',
      'many-volumes',
      'notices',
      'setup',
      'ssh',
      'status',
      'terminal',
      'whole-qubes',
      'width',
    ]);
  });
});

describe('a run', () => {
  const folder = makeScratch('runner');
  after(() => {
    removeScratch(folder);
  });

  function run(source: string, env: NodeJS.ProcessEnv = {}) {
    const file = join(folder, 'planted.test.mjs');
    writeFileSync(file, `import { test } from 'node:test';\n${source}\n`);
    const inherited = { ...process.env };
    // Set by the runner that runs this file; the inner one would report to it.
    delete inherited.NODE_TEST_CONTEXT;
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, '.ci/test.mjs'), file], {
      env: { ...inherited, CI: '', ...env },
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  it('ends when nothing is reported any more, and names the test that hangs', () => {
    const hung = `test('first', () => {}); test('hangs', () => new Promise((resolve) => setTimeout(resolve, 1e8)));`;
    const { status, output } = run(hung, { SPARSEBAK_TEST_SILENCE: '0.2' });
    assert.equal(status, 1);
    assert.match(output, /planted\.test\.mjs: hangs/);
    assert.doesNotMatch(output, /planted\.test\.mjs: first/);
  });

  it('fails where no test ran', () => {
    const { status, output } = run('');
    assert.equal(status, 1, output);
    assert.match(output, /no test ran/);
  });

  it('fails where a test was skipped and CI is set, and says the reason in any case', () => {
    const source = `test('ran', () => {}); test('not', { skip: 'no such thing here' }, () => {});`;
    assert.equal(run(source).status, 0);
    const { status, output } = run(source, { CI: 'true' });
    assert.equal(status, 1);
    assert.match(output, /skipped: not: no such thing here/);
    assert.match(output, /^1 passed, 0 failed, 1 skipped$/m);
  });
});
