// What is installed is one file for each half. It must start where there is nothing beside it, on the oldest Node that
// it is meant for, and hold nothing that cannot be read.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { scratchFor } from '../fixtures/scratch.ts';

const dist = join(import.meta.dirname, '../../dist');

/** The first line of each bundle, and the most KiB that it may have. Raise the limit only with a reason. */
const bundles = {
  'sparsebak.js': {
    firstLine: '#!/usr/bin/env -S NODE_COMPILE_CACHE=/var/cache/sparsebak node --disallow-code-generation-from-strings',
    most: 1300,
  },
  'sparsebak-receiver.js': { firstLine: '#!/usr/bin/env -S NODE_COMPILE_CACHE=/var/cache/sparsebak node', most: 860 },
};

/** All code that is not ours, in both, with its licence: each must be one that a GPL-3.0 program may take in. */
const PACKAGES = [
  'commander MIT',
  'execa MIT',
  'get-stream MIT',
  'human-signals Apache-2.0',
  'is-plain-obj MIT',
  'is-stream MIT',
  'msgpackr MIT',
  'pino MIT',
  'pino-std-serializers MIT',
  'quick-format-unescaped MIT',
  'safe-stable-stringify MIT',
  'signal-exit ISC',
  'smol-toml BSD-3-Clause',
  'strip-final-newline MIT',
  'zod MIT',
];

/** What the build itself needs from node_modules: all but the large programs of the development. */
const NEEDED = /^(?!node$|typescript|@typescript-eslint|eslint|prettier|knip|@oxc|oxc|dependency-cruiser|[.])/;

/** What Node says when a file is not complete in itself, or is newer than it. */
const cannotStart = /ERR_[A-Z_]+|SyntaxError|ReferenceError|Cannot find (module|package)|MODULE_NOT_FOUND/;

/** The oldest Node that the receiver runs on, if this machine has it. */
function findNode20(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/usr/local/bin'];
  return folders
    .map((folder) => join(folder, 'node'))
    .filter((node) => existsSync(node))
    .find((node) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.startsWith('v20.'));
}

const node20 = findNode20();

for (const [name, { firstLine, most }] of Object.entries(bundles)) {
  describe(`dist/${name}`, () => {
    const text = readFileSync(join(dist, name), 'utf8');

    it('is executable and says how it is to be run', () => {
      assert.equal(statSync(join(dist, name)).mode & 0o111, 0o111);
      assert.equal(text.split('\n', 1)[0], firstLine);
    });

    it('starts when copied alone, by its first line and by node', (t) => {
      const alone = join(scratchFor(t), name);
      copyFileSync(join(dist, name), alone);
      // Nothing of this project may be found by way of the environment either, but for the Node that runs the tests.
      const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
      for (const [command, ...args] of [[alone], [process.execPath, alone]] as [string, ...string[]][]) {
        const { error, stderr, stdout } = spawnSync(command, [...args, '--version'], {
          cwd: dirname(alone),
          env,
          encoding: 'utf8',
        });
        assert.equal(error, undefined);
        assert.doesNotMatch(stderr, cannotStart);
        assert.match(stdout, /^\d+\.\d+\.\d+/);
      }
    });

    it('starts below a package.json of any type', (t) => {
      for (const type of ['module', 'commonjs']) {
        const folder = scratchFor(t);
        writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
        copyFileSync(join(dist, name), join(folder, name));
        const { stderr, stdout } = spawnSync(process.execPath, [join(folder, name), '--version'], { encoding: 'utf8' });
        assert.doesNotMatch(stderr, cannotStart);
        assert.match(stdout, /^\d+\.\d+\.\d+/);
      }
    });

    it('has the packages that are listed here, and no native code', () => {
      const [rows = ''] = readFileSync(join(dist, name.replace('.js', '.packages.txt')), 'utf8').split('\n\n', 1);
      const found = rows.split('\n').map((row) => row.replace(/ \S+ /, ' '));
      assert.deepEqual(found, PACKAGES);
      assert.ok(!text.includes('msgpackr-extract'));
    });

    it('is short enough to be read', () => {
      const kib = Buffer.byteLength(text) / 1024;
      assert.ok(kib <= most, `${kib.toFixed(0)} KiB, and at most ${most}: what has become too long?`);
    });

    it('holds only what it uses of zod: neither its classes with methods nor other languages', () => {
      assert.match(text, /Too small: expected/);
      const unused = [/[^$]\bZodString\b/, /\btoJSONSchema\(/, /\/locales\/(?!en[.]js|index[.]js)/];
      for (const pattern of unused) assert.doesNotMatch(text, pattern);
    });
  });
}

describe('the build', () => {
  it('gives the same bytes in another folder', { timeout: 120_000 }, (t) => {
    const clone = join(scratchFor(t), 'a/checkout/elsewhere');
    const root = join(dist, '..');
    mkdirSync(clone, { recursive: true });
    const sources = [
      'docs/cli.md',
      'shared',
      'dom0-agent',
      'vm-receiver',
      '.ci',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
    ];
    const packages = readdirSync(join(root, 'node_modules')).filter((name) => NEEDED.test(name));
    for (const name of [...sources, ...packages.map((each) => `node_modules/${each}`)]) {
      cpSync(join(root, name), join(clone, name), { recursive: true });
    }
    const { status, stderr } = spawnSync(process.execPath, ['.ci/build.mjs'], { cwd: clone, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const made = readdirSync(join(clone, 'dist'), { recursive: true, encoding: 'utf8' });
    assert.ok(made.includes('man/sparsebak.1') && made.includes('completion/fish/sparsebak.fish'));
    for (const name of made.filter((each) => statSync(join(clone, 'dist', each)).isFile())) {
      assert.ok(readFileSync(join(clone, 'dist', name)).equals(readFileSync(join(dist, name))), name);
    }
  });
});

describe(
  'dist/sparsebak-receiver.js on Node 20',
  { skip: node20 === undefined ? 'machine: no Node 20' : false },
  () => {
    it('starts', (t) => {
      const alone = join(scratchFor(t), 'receiver.js');
      copyFileSync(join(dist, 'sparsebak-receiver.js'), alone);
      // Before 20.19 Node did not look into a file to see what it is.
      const older = spawnSync(node20 ?? '', ['--help'], { encoding: 'utf8' }).stdout.includes('detect-module')
        ? ['--no-experimental-detect-module']
        : [];
      for (const flags of [[], older]) {
        const { status, stdout, stderr } = spawnSync(node20 ?? '', [...flags, alone, '--version'], {
          cwd: dirname(alone),
          env: {},
          encoding: 'utf8',
        });
        assert.doesNotMatch(stderr, cannotStart);
        assert.equal(status, 0, stderr);
        assert.match(stdout, /^\d+\.\d+\.\d+/);
      }
    });
  },
);
