// Archives that earlier programs made must be readable for as long as this program is. A test that fails here is never
// repaired by making the archive again: somebody's only copy looks just like it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { allGolden, type Golden } from '../fixtures/golden/golden.ts';
import { Installation } from '../fixtures/installation.ts';
import { scratchFor } from '../fixtures/scratch.ts';

/** A dom0 that has never seen the archive. */
function installationWith(golden: Golden, folder: string): Installation {
  const installation = new Installation(folder, 'golden');
  cpSync(golden.archive, join(installation.root, 'golden'), { recursive: true });
  return installation;
}

function secret(folder: string, text: string): string {
  const file = join(folder, 'secret');
  writeFileSync(file, `${text}\n`);
  return file;
}

describe('archives of earlier releases', () => {
  const all = allGolden();
  it('are there', () => {
    assert.ok(all.length >= 5);
    for (const { name, sessions } of all) assert.ok(sessions.length >= 2, name);
  });

  for (const golden of all) {
    it(`${golden.name} (${golden.release}): unlocked by passphrase, every session restored`, async (t) => {
      const folder = scratchFor(t);
      const installation = installationWith(golden, folder);
      await installation.json('key', 'unlock', '--passphrase-file', secret(folder, golden.passphrase));
      for (const { session, size, sha256 } of golden.sessions) {
        const target = join(folder, session);
        await installation.json('restore', golden.volume, '--session', session, '--to', target);
        const bytes = readFileSync(target);
        assert.equal(bytes.length, size);
        assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
      }
    });

    it(`${golden.name} (${golden.release}): unlocked by recovery key, every session proven`, async (t) => {
      const folder = scratchFor(t);
      const installation = installationWith(golden, folder);
      await installation.json('key', 'unlock', '--recovery-key-file', secret(folder, golden.recoveryKey));
      const { sessions } = (await installation.json('verify', '--all-sessions')) as { sessions: { session: string }[] };
      assert.deepEqual(
        sessions.map(({ session }) => session),
        golden.sessions.map(({ session }) => session),
      );
    });
  }
});
