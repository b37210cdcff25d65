// Commands outside the core are in files of their own beside it. The core may never load one for a command of its own:
// dom0 may leave these files out, and trusts none of their code then.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isFamily } from '../../dom0-agent/cli/families.ts';
import { scratchFor } from '../fixtures/scratch.ts';

const dist = join(import.meta.dirname, '../../dist');

/** The core alone in a folder, with these families beside it. */
function installed(t: TestContext, families: Readonly<Record<string, string>>): (...args: string[]) => Ran {
  const folder = scratchFor(t);
  copyFileSync(join(dist, 'sparsebak.js'), join(folder, 'sparsebak.js'));
  for (const [name, code] of Object.entries(families)) writeFileSync(join(folder, `sparsebak-${name}.cjs`), code);
  return (...args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'sparsebak.js'), ...args], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ECHO = 'exports.run = async (args) => { console.log(JSON.stringify(args)); return 3; };';
const FAIL = `exports.run = async () => {
  throw Object.assign(new Error('nothing is mounted'), { name: 'SparsebakError', code: 'locked', hint: 'Mount it.' });
};`;

describe('a command in a file of its own', () => {
  it('gets its command line, and decides the exit status', (t) => {
    const sparsebak = installed(t, { browse: ECHO });
    const { status, stdout } = sparsebak('--config', 'my.toml', 'browse', '--unknown', 'send');
    assert.deepEqual(JSON.parse(stdout), ['--config', 'my.toml', 'browse', '--unknown', 'send']);
    assert.equal(status, 3);
  });

  it('fails with its own error, hint and exit status', (t) => {
    const { status, stderr } = installed(t, { browse: FAIL })('browse');
    assert.match(stderr, /nothing is mounted\n {2}→ Mount it\./);
    assert.equal(status, 6);
  });

  it('does not exist where its file was left out', (t) => {
    const { status, stderr } = installed(t, { browse: ECHO })('mount');
    assert.match(stderr, /there is no command "mount"/);
    assert.equal(status, 2);
  });

  it('of this release that was left out is named, with its file', (t) => {
    const sparsebak = installed(t, {});
    for (const args of [['doctor'], ['--json', 'doctor', '--offline'], ['doctor', '--help']]) {
      const { status, stderr } = sparsebak(...args);
      assert.match(stderr, /"doctor" is not installed: there is no sparsebak-doctor\.cjs\n {2}→ /);
      assert.equal(status, 2);
    }
  });

  it('is refused if the file has no command', (t) => {
    const { status, stderr } = installed(t, { browse: 'exports.other = 1;' })('browse');
    assert.match(stderr, /sparsebak-browse\.cjs has no commands of sparsebak/);
    assert.equal(status, 1);
  });

  it('is never loaded by a command of the core, whatever the file is named', (t) => {
    const [, section = ''] = /^Commands:\n((?: .*\n)+)/m.exec(installed(t, {})('--help').stdout) ?? [];
    const shown = [...section.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name);
    const commands = shown.filter((name) => !isFamily(name));
    assert.ok(commands.includes('send') && commands.includes('restore'), commands.join(' '));
    const mark = join(scratchFor(t), 'loaded');
    const code = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, ''); ${ECHO}`;
    const sparsebak = installed(t, Object.fromEntries(['browse', 'receiver', ...commands].map((name) => [name, code])));
    sparsebak();
    sparsebak('--version');
    // Without a configuration or with too few arguments they fail, after everything that they load first.
    for (const command of commands) sparsebak(command, '--config', 'missing.toml');
    assert.equal(existsSync(mark), false);
    sparsebak('browse');
    assert.equal(existsSync(mark), true, 'the mark shows that a file was loaded');
  });
});
