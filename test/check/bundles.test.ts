// What is installed is one file for each half. It must start where there is nothing beside it, on the oldest Node that
// it is meant for, and hold nothing that cannot be read.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { scratchFor } from '../fixtures/scratch.ts';

const dist = join(import.meta.dirname, '../../dist');

const firstLines: Readonly<Record<string, string>> = {
  'sparsebak.js':
    '#!/usr/bin/env -S NODE_COMPILE_CACHE=/var/cache/sparsebak node --disallow-code-generation-from-strings',
  'sparsebak-receiver.js': '#!/usr/bin/env -S NODE_COMPILE_CACHE=/var/cache/sparsebak node',
};

/** Licences that a GPL-3.0 program may take in. */
const compatible = new Set(['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0']);

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

for (const [name, firstLine] of Object.entries(firstLines)) {
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

    it('holds only packages whose licence allows it, and no native code', () => {
      const [rows = ''] = readFileSync(join(dist, name.replace('.js', '.packages.txt')), 'utf8').split('\n\n', 1);
      for (const row of rows.split('\n').filter((each) => each !== '')) {
        const [, , licence = ''] = row.split(' ');
        assert.ok(compatible.has(licence), row);
      }
      assert.ok(!text.includes('msgpackr-extract'));
    });
  });
}

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
