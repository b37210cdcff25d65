import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { folderMatcher, isLiteral, nameMatcher } from '../../../dom0-agent/source/glob.ts';

describe('globs', () => {
  const cases: [pattern: string, matching: string[], other: string[]][] = [
    [
      'vm-*-private',
      ['vm-work-private', 'vm--private', 'vm-a-b-private'],
      ['vm-work-private-snap', 'xvm-work-private', 'vm-a/b-private'],
    ],
    ['*', ['a', '.a', 'a\nb', 'Ü'], ['a/b']],
    ['**', ['a', 'a/b', 'a/b/c', '.a'], ['']],
    ['**/x.img', ['x.img', 'a/x.img', 'a/b/x.img'], ['ax.img', 'a/x.img/b']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c']],
    ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['a/bz', 'az']],
    ['a**b', ['ab', 'axxb'], ['a/b']],
    ['?.img', ['a.img', '图.img', '😀.img'], ['.img', 'ab.img', '/.img']],
    ['[a-c]1', ['a1', 'c1'], ['d1', 'A1']],
    ['[!a-c]1', ['d1'], ['a1', '/1']],
    ['[]]x', [']x'], ['x']],
    ['[^a]', ['^', 'a'], ['b']],
    ['[x', ['[x'], ['x']],
    ['a\\*b', ['a*b'], ['axb']],
    ['a+(b).{c}|d$^', ['a+(b).{c}|d$^'], ['aab.c']],
    ['[x]*?.img', ['[x]*?.img', 'xyz.img'], ['yz.img']],
  ];

  for (const [pattern, matching, other] of cases) {
    it(JSON.stringify(pattern), () => {
      const matches = nameMatcher([pattern], []);
      for (const name of matching) assert.ok(matches(name), JSON.stringify(name));
      for (const name of other) assert.ok(!matches(name), JSON.stringify(name));
    });
  }

  it('takes excludes out of what any pattern matches', () => {
    const matches = nameMatcher(['a*', '*b'], ['*x*']);
    assert.ok(matches('a') && matches('b') && !matches('axb') && !matches('c'));
    assert.ok(!nameMatcher([], [])('a'));
  });

  it('tell which folders can hold what they match', () => {
    const leadsOn = (pattern: string, folder: string) => folderMatcher([pattern])(folder);
    for (const [pattern, folder] of [
      ['*/x', 'a'],
      ['a/*/x', 'a'],
      ['a/*/x', 'a/b'],
      ['a/**', 'a/b/c'],
      ['**', 'a'],
      ['**/x', 'a/b'],
      ['[ab]/x?', 'b'],
      ['a\\/b*', 'anything'],
    ] as const) {
      assert.ok(leadsOn(pattern, folder), `${pattern} in ${folder}`);
    }
    for (const [pattern, folder] of [
      ['*', 'a'],
      ['a/*', 'b'],
      ['*/x', 'a/b'],
      ['a/b*', 'a/b'],
      ['a**/x', 'b'],
    ] as const) {
      assert.ok(!leadsOn(pattern, folder), `${pattern} in ${folder}`);
    }
  });

  it('tells literal names', () => {
    assert.ok(isLiteral('work/private.img') && isLiteral('{a,b}'));
    assert.ok(!isLiteral('*') && !isLiteral('a?') && !isLiteral('[a]') && !isLiteral('a\\b'));
  });
});
