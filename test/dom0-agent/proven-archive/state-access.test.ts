// Tests run as root, who may do everything: so it is the system's answers that are planted here.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { ArchiveState } from '../../../dom0-agent/proven-archive/archive-state.ts';
import { isForbidden, mustBeAccessible } from '../../../dom0-agent/proven-archive/state-access.ts';
import { ArchiveInMemory, NAME } from '../../fixtures/archive-in-memory.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

type Answers = Readonly<Record<string, string>>;

/** Runs `work` while the system answers for these paths with an error of that code. */
function answering(name: 'accessSync' | 'readFileSync', answers: Answers, work: () => void): void {
  const original = fs[name] as (...args: unknown[]) => unknown;
  const planted = (path: unknown, ...others: unknown[]): unknown => {
    const code = answers[String(path)];
    if (code !== undefined) throw Object.assign(new Error(`${code}: planted`), { code });
    return original(path, ...others);
  };
  Object.assign(fs, { [name]: planted });
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    Object.assign(fs, { [name]: original });
    syncBuiltinESMExports();
  }
}

const sudo = { code: 'config', hint: /sudo sparsebak/ };

test('whoever forgot sudo is told so, for a folder that is there and for one that is still to be made', (t) => {
  const folder = scratchFor(t);
  const state = join(folder, 'var/lib/sparsebak');
  mustBeAccessible(folder);
  mustBeAccessible(state);
  for (const code of ['EACCES', 'EPERM']) {
    answering('accessSync', { [folder]: code }, () => {
      assert.throws(() => {
        mustBeAccessible(folder);
      }, sudo);
      assert.throws(
        () => {
          mustBeAccessible(state);
        },
        { ...sudo, message: new RegExp(state) },
      );
    });
  }
});

test('a disk that is read-only or broken is not called a lack of rights', (t) => {
  const folder = scratchFor(t);
  for (const code of ['EROFS', 'EIO', 'ENOTDIR']) {
    answering('accessSync', { [folder]: code }, () => {
      mustBeAccessible(folder);
    });
    assert.ok(!isForbidden(Object.assign(new Error(), { code })));
  }
});

test('a state that this user may not read is neither damaged nor absent', async (t) => {
  const { state, stateDir } = await ArchiveInMemory.make(t);
  for (const file of ['settings.json', 'record']) {
    answering('readFileSync', { [join(state.folder, file)]: 'EACCES' }, () => {
      assert.throws(() => ArchiveState.open(stateDir, NAME), sudo);
      if (file === 'settings.json') assert.throws(() => ArchiveState.exists(stateDir, NAME), sudo);
    });
  }
  assert.ok(ArchiveState.exists(stateDir, NAME));
});
