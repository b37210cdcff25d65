// What a person gets wrong first, and how the program takes it.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { Installation } from '../../fixtures/installation.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

it('names a command that is none', async (t) => {
  const installation = new Installation(scratchFor(t), 'laptop');
  for (const args of [['backup'], ['backup', 'work.img'], ['--json', 'backup']]) {
    const { status, stderr } = await installation.run(...args);
    assert.equal(status, 2);
    assert.match(stderr, /there is no command "backup"/);
  }
});

it('makes no archive where the backup folder is not there, leaves no key of it, and then makes it where it is (I9, S17)', async (t) => {
  const folder = scratchFor(t);
  const installation = new Installation(folder, 'laptop');
  const recoveryKey = join(folder, 'recovery-key');
  const init = ['init', '--passphrase-file', installation.passphraseFile, '--recovery-key-file', recoveryKey];
  rmdirSync(installation.root);
  const { status, stderr } = await installation.run(...init);
  assert.equal(status, 5);
  assert.match(stderr, /the backup folder is not there/);
  assert.ok(!existsSync(installation.root), 'it must not fill the disk below an empty mount point');
  assert.ok(!existsSync(recoveryKey));
  mkdirSync(installation.root);
  await installation.json(...init);
  assert.ok(existsSync(recoveryKey));
});
