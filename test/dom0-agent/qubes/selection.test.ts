import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inPossibleOrder } from '../../../dom0-agent/cli/follow-qubes.ts';
import { followQubes } from '../../../dom0-agent/qubes/known-qubes.ts';
import { isQubeName, parseArchiveName } from '../../../dom0-agent/qubes/names.ts';
import { isQubePattern, selectsQube } from '../../../dom0-agent/qubes/patterns.ts';
import type { KnownQube } from '../../../dom0-agent/qubes/qubes-host.ts';

function qube(name: string, uuid: string): [string, KnownQube] {
  return [name, { name, uuid, class: 'AppVM', state: 'Halted', included: true, fleeting: false, unfinished: false }];
}

describe('names of qubes', () => {
  it('follow the grammar of Qubes', () => {
    for (const name of ['a', 'work', 'sys-net', 'W_1.2', 'a'.repeat(31)]) assert.ok(isQubeName(name), name);
    for (const name of ['', '1a', '-a', 'a b', 'a:b', 'a/b', 'work-dm', 'a'.repeat(32), 'ä']) {
      assert.ok(!isQubeName(name), name);
    }
  });

  it('are found in names of an archive, and in no others', () => {
    assert.deepEqual(parseArchiveName('work:private'), { qube: 'work', volume: 'private' });
    for (const name of ['work', 'appvms/mail/private.img', 'vm-mail-private', ':private', 'work:', 'a:b:c', 'x/y:z']) {
      assert.equal(parseArchiveName(name), undefined, name);
    }
  });
});

describe('patterns of qubes', () => {
  it('are names, globs, or the property', () => {
    for (const text of ['work', 'w*', '[ab]?', '@include_in_backups']) assert.ok(isQubePattern(text), text);
    for (const text of ['', 'work:private', '@tag:x', 'a/b']) assert.ok(!isQubePattern(text), text);
  });

  it('select a disposable that goes away by its full name only', () => {
    const disposable = { name: 'disp12', included: true, fleeting: true };
    assert.ok(!selectsQube('@include_in_backups', disposable));
    assert.ok(!selectsQube('disp*', disposable));
    assert.ok(selectsQube('disp12', disposable));
  });
});

describe('qubes of the last send', () => {
  it('are followed by their uuid', () => {
    const saved = new Map([
      ['1', 'same'],
      ['2', 'old'],
      ['3', 'gone'],
      ['4', 'taken'],
      ['5', 'a'],
      ['6', 'b'],
      ['', 'nameless'],
    ]);
    const known = new Map([qube('same', '1'), qube('new', '2'), qube('taken', '9'), qube('b', '5'), qube('a', '6')]);
    assert.deepEqual(followQubes(saved, known), {
      renamed: [
        { from: 'old', to: 'new' },
        { from: 'a', to: 'b' },
        { from: 'b', to: 'a' },
      ],
      gone: ['gone'],
      replaced: ['taken'],
    });
  });

  it('get their new names in an order in which each is free', () => {
    const renamed = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'c' },
      { from: 'x', to: 'y' },
      { from: 'y', to: 'x' },
    ];
    assert.deepEqual(inPossibleOrder(renamed, ['a:p', 'b:p', 'x:p', 'y:p', 'z:p', 'vm-a-p']), {
      possible: [
        { from: 'b:p', to: 'c:p' },
        { from: 'a:p', to: 'b:p' },
      ],
      taken: [
        { from: 'x:p', to: 'y:p' },
        { from: 'y:p', to: 'x:p' },
      ],
    });
  });
});
