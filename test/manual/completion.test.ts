// What a user types with the tab key, in real shells on a terminal: the command must get exactly the name.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it, test } from 'node:test';
import { Installation, runBundle } from '../fixtures/installation.ts';
import { makeScratch, scratchFor } from '../fixtures/scratch.ts';
import { SHELL_NAMES, TypingShell, shellSkip, type ShellName } from './typing-shell.ts';

/** What each begins with tells it from the others. */
const AWKWARD = {
  blank: 'a b.img',
  apostrophe: "it's.img",
  quote: 'q"uote.img',
  dollar: '$HOME.img',
  backtick: '`id`.img',
  breaks: 'co:lon=x@y.img',
  exclamation: 'bang!.img',
  letter: 'uniqö.img',
  backslash: 'back\\slash.img',
  tilde: '~tilde.img',
  glob: 'glob*?[x].img',
  hash: '#hash.img',
  folder: 'work/private.img',
} as const;

/** fish separates candidates by lines and tabs, and leaves these names out. */
const UNFIT = { newline: 'new\nline.img', tab: 'tab\tx.img' } as const;

const NAMES = [...Object.values(AWKWARD), ...Object.values(UNFIT), '-dash.img', 'alike a', "alike'b", '$(touch made)'];

/** What is typed before the tab, and what the program then gets. */
const TYPED: readonly (readonly [string, string])[] = [
  ['a\\ ', AWKWARD.blank],
  ["'a ", AWKWARD.blank],
  ['it', AWKWARD.apostrophe],
  ['"it', AWKWARD.apostrophe],
  ["'q", AWKWARD.quote],
  ['"q', AWKWARD.quote],
  ['\\$H', AWKWARD.dollar],
  ['"\\$H', AWKWARD.dollar],
  ["'$(", '$(touch made)'],
  ['\\`', AWKWARD.backtick],
  ['co', AWKWARD.breaks],
  ['co:lon=', AWKWARD.breaks],
  ['bang', AWKWARD.exclamation],
  ['"bang', AWKWARD.exclamation],
  ['uni', AWKWARD.letter],
  ['back', AWKWARD.backslash],
  ['"back', AWKWARD.backslash],
  ['\\~', AWKWARD.tilde],
  ['glob', AWKWARD.glob],
  ['\\#', AWKWARD.hash],
  ['wor', AWKWARD.folder],
  ['-- -d', '-dash.img'],
];

/** Commands, options and fixed values, which need no names. */
const FIXED: readonly (readonly [string, readonly string[]])[] = [
  ['sparsebak mon\t', ['monitor']],
  ['sparsebak key cha\t', ['key', 'change']],
  ['sparsebak --log-level sil\t', ['--log-level', 'silent']],
  ['sparsebak init --enc\toff', ['init', '--encryption', 'off']],
  ['sparsebak list --lock\t5', ['list', '--lock-wait', '5']],
  ['sparsebak help ren\t', ['help', 'rename']],
  ['sparsebak-receiver scr\t--max\t2h', ['scrub', '--max-time', '2h']],
  ['sparsebak-receiver kept rem\t7', ['kept', 'remove', '7']],
];

/** A program that answers with these names, whatever it is asked. */
function stubOf(t: Parameters<typeof scratchFor>[0], names: readonly string[]): string {
  const list = join(scratchFor(t), 'names');
  writeFileSync(list, names.map((name) => `${name}\0`).join(''));
  return `exec cat '${list}'`;
}

for (const shell of SHELL_NAMES) {
  describe(`completion in ${shell}`, { skip: shellSkip(shell) }, () => {
    it('gives the program exactly the name, whatever it has in it', async (t) => {
      const typing = await TypingShell.open(t, shell, stubOf(t, NAMES));
      for (const [typed, name] of TYPED) {
        const args = await typing.type(`sparsebak restore ${typed}\t`);
        assert.equal(args.at(-1), name, `${shell}: ${typed}`);
      }
      for (const name of Object.values(UNFIT)) {
        const args = await typing.type(`sparsebak restore ${name.slice(0, 3)}\t`);
        assert.equal(args.at(-1), shell === 'fish' ? name.slice(0, 3) : name);
      }
      // As an operand it would be an option; as the value of one it is not.
      assert.deepEqual((await typing.type('sparsebak delete -das\t')).slice(0, 2), ['delete', '-das']);
      assert.equal(typing.made('made'), false, 'a name was run');
    });

    it('completes commands, options and their values', async (t) => {
      const typing = await TypingShell.open(t, shell, 'exit 1');
      for (const [typed, args] of FIXED) {
        // zsh writes an option and its value as one word.
        const got = (await typing.type(typed)).flatMap((word) => (word.startsWith('--') ? word.split('=') : [word]));
        assert.deepEqual(got, args, typed);
      }
    });

    it('asks for what the line is about, and shows nothing if there is no answer', async (t) => {
      const asked = join(scratchFor(t), 'asked');
      const typing = await TypingShell.open(t, shell, `{ printf '<%s>' "$@" >>'${asked}'; echo oh >&2; exit 3; }`);
      const line = "sparsebak --archive disk2 tag 'a b' --session S_1 --remove ";
      assert.deepEqual(await typing.type(`${line}x\t`), [
        '--archive',
        'disk2',
        'tag',
        'a b',
        '--session',
        'S_1',
        '--remove',
        'x',
      ]);
      assert.match(readFileSync(asked, 'utf8'), /<--archive><disk2><complete><tags><--><a b><S_1>$/);
      assert.doesNotMatch(typing.shown, /\boh\b/);
    });
  });
}

describe('sparsebak complete', () => {
  let place: Installation;
  let session: string;
  const names = ['work/private.img', 'work/a b\n$x.img'];
  const complete = async (...args: string[]) => {
    const { status, stdout, stderr } = await place.run('complete', ...args);
    assert.equal(stderr, '');
    return { status, names: stdout.split('\0').slice(0, -1) };
  };

  before(async () => {
    place = new Installation(makeScratch('complete'), 'laptop');
    for (const name of names) writeFileSync(join(place.volumes, name), 'x'.repeat(100_000));
    await place.init();
    session = await place.send();
    await place.json('tag', names[0]!, '--session', session, '--add', 'before upgrade', '--add', 'protected');
    renameSync(place.root, `${place.root}.away`);
  });

  it('knows volumes, sessions, tags, archives and pools without the archive', async () => {
    assert.deepEqual(await complete('volumes'), { status: 0, names: names.toSorted() });
    assert.deepEqual(await complete('sessions', '--', names[1]!), { status: 0, names: [session] });
    assert.deepEqual((await complete('sessions')).names, [session]);
    assert.deepEqual((await complete('tags')).names, ['before upgrade', 'protected']);
    assert.deepEqual((await complete('tags', names[0]!, session)).names, ['before upgrade', 'protected']);
    assert.deepEqual((await complete('tags', names[1]!)).names, []);
    assert.deepEqual((await complete('archives')).names, ['laptop']);
    assert.deepEqual((await complete('pools')).names, ['main']);
  });

  it('is silent about what it cannot answer', async () => {
    for (const args of [['nothing'], [], ['sessions', 'nosuch'], ['volumes', '--archive', 'nosuch']]) {
      const { names: found } = await complete(...args);
      assert.deepEqual(found, []);
    }
    const missing = await runBundle('sparsebak', ['--config', '/nonexistent/x.toml', 'complete', 'volumes']);
    assert.deepEqual(missing, { status: 1, stdout: '', stderr: '' });
  });

  it('writes nothing', async () => {
    const state = join(place.config, '../state');
    const seen = () =>
      readdirSync(state, { recursive: true, encoding: 'utf8' })
        .sort()
        .map((name) => [name, statSync(join(state, name)).mtimeMs]);
    const earlier = seen();
    for (const kind of ['volumes', 'sessions', 'tags']) await complete(kind);
    assert.deepEqual(seen(), earlier);
    assert.ok(earlier.length > 3);
  });

  it('is no command for people: the help does not have it', async () => {
    const { stdout } = await runBundle('sparsebak', ['--help']);
    assert.doesNotMatch(stdout, /^ *complete\b/m);
  });
});

test('completion in bash asks the real program', { skip: shellSkip('bash') }, async (t) => {
  const place = new Installation(scratchFor(t), 'laptop');
  mkdirSync(join(place.volumes, 'vault'));
  writeFileSync(join(place.volumes, "vault/it's $5.img"), 'x'.repeat(1000));
  await place.init();
  const session = await place.send();
  const shell: ShellName = 'bash';
  const typing = await TypingShell.open(
    t,
    shell,
    `exec ${process.execPath} ${join(import.meta.dirname, '../../dist/sparsebak.js')} "$@"`,
  );
  const line = await typing.type(`sparsebak --config ${place.config} restore va\t--session S\t`);
  assert.deepEqual(line.slice(2), ['restore', "vault/it's $5.img", '--session', session]);
});
