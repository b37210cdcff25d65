import assert from 'node:assert/strict';
import { mkdirSync, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { asSparsebakError, systemCode } from '../../shared/errors.ts';
import { plainText } from '../../shared/system-error.ts';
import { asRefusal } from '../../vm-receiver/store/refusal.ts';
import { scratchFor } from '../fixtures/scratch.ts';

/** As libuv gives an error that it has no name for. */
function unnamed(errno: number): Error {
  const code = `Unknown system error ${String(errno)}`;
  return Object.assign(new Error(`${code}: ${code}, write`), { errno, code, syscall: 'write' });
}

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('errors of the system', () => {
  it('have a name and plain words where libuv has none', () => {
    assert.equal(systemCode(unnamed(-122)), 'EDQUOT');
    assert.equal(plainText(unnamed(-122), 'a.img'), 'a.img: the disk quota is used up (EDQUOT)');
    assert.equal(systemCode(unnamed(-117)), 'EUCLEAN');
    assert.equal(systemCode(unnamed(-116)), 'ESTALE');
    assert.equal(systemCode(unnamed(-4095)), 'Unknown system error -4095');
  });

  it('name the object: the one that was given, else the path of the call', (t) => {
    const folder = scratchFor(t);
    const missing = caught(() => readFileSync(join(folder, 'none')));
    assert.equal(plainText(missing), `${join(folder, 'none')}: no such file or folder (ENOENT)`);
    assert.equal(plainText(missing, 'work/private.img'), 'work/private.img: no such file or folder (ENOENT)');
    mkdirSync(join(folder, 'full/sub'), { recursive: true });
    mkdirSync(join(folder, 'other'));
    const full = caught(() => {
      renameSync(join(folder, 'other'), join(folder, 'full'));
    });
    assert.equal(plainText(full), `${join(folder, 'full')}: the folder is not empty (ENOTEMPTY)`);
    assert.equal(asSparsebakError(missing, 'target').message, plainText(missing));
    const isFolder = caught(() => openSync(folder, 'w'));
    assert.equal(asSparsebakError(isFolder, 'target', 'x').message, 'x: it is a folder (EISDIR)');
  });

  it('leave other errors as they are', () => {
    assert.equal(plainText(new Error('odd')), 'odd');
    assert.equal(plainText(new Error('odd'), 'v'), 'v: odd');
    assert.equal(plainText('text'), 'text');
    assert.equal(systemCode(new Error('odd')), undefined);
    assert.equal(systemCode('text'), undefined);
  });

  it("S1 the receiver's quota is no space, as a full disk is", () => {
    const refusal = asRefusal(unnamed(-122), 'write volumes/x');
    assert.equal(refusal.answer, 'no-space');
    assert.match(refusal.message, /quota is used up/);
  });
});
