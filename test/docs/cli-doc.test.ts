// docs/cli.md and the programs' own help say the same, and no link of the documentation leads nowhere.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../dom0-agent/config/config.ts';
import { runBundle } from '../fixtures/installation.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { namedInPage, namedInTests } from './coverage.ts';
import { helpOf, usageOf, type Help } from './help.ts';
import { anchorsOf, linksOf, pages, readPage, root, sectionsOf } from './pages.ts';

const sections = sectionsOf(readPage('docs/cli.md'));

describe('docs/cli.md', () => {
  const help = new Map<string, Help>();
  before(async () => {
    for (const program of ['sparsebak', 'sparsebak-receiver'] as const) {
      for (const each of await helpOf(program)) help.set(each.command, each);
    }
  });

  it('has every command and no other', () => {
    const described = sections.map(({ heading }) => heading).filter((heading) => /^sparsebak\b/.test(heading));
    assert.ok(help.size > 10);
    assert.deepEqual(described.sort(), [...help.keys()].sort());
  });

  it('is not needed for a first try: each help has an example, and "help" shows the same', async () => {
    for (const { command, hasExample } of help.values()) assert.ok(hasExample, command);
    for (const words of [['sparsebak'], ['sparsebak', 'key', 'add'], ['sparsebak-receiver', 'scrub']] as const) {
      const [program, ...path] = words;
      const asked = await runBundle(program, ['help', ...path]);
      assert.deepEqual(asked, await runBundle(program, [...path, '--help']));
      assert.equal(asked.status, 0);
      const wrong = await runBundle(program, ['help', ...path, 'nosuch']);
      assert.equal(wrong.status, 2);
      assert.match(wrong.stderr, /there is no command ".*nosuch".*\n?.*help/);
    }
  });

  it('has the options and arguments of each', () => {
    let options = 0;
    for (const { heading, text } of sections) {
      const real = help.get(heading);
      if (real === undefined) continue;
      const rows = [...text.matchAll(/^\| (`-.*?) \|/gm)].map(([, cell = '']) => cell);
      const described = rows.map((cell) => /--[a-z-]+/.exec(cell)?.[0] ?? cell);
      assert.deepEqual(described.sort(), [...real.options].sort(), heading);
      const usage = new RegExp(`^ {4}(${heading}(?: .*)?)$`, 'm').exec(text)?.[1] ?? '';
      assert.equal(usageOf(heading, usage).replace('<command>', '[command]'), real.usage, heading);
      options += described.length;
    }
    assert.ok(options > 30);
  });

  it('has examples that are JSON, and a configuration that is right', (t) => {
    const documents = sections.flatMap(({ text }) => [...text.matchAll(/^```json\n(.*?)^```$/gms)]);
    assert.ok(documents.length > 10);
    for (const [, document = ''] of documents) assert.doesNotThrow(() => JSON.parse(document) as unknown, document);
    const { text } = sections.find(({ heading }) => heading === 'Configuration') ?? { text: '' };
    const file = join(scratchFor(t), 'sparsebak.toml');
    writeFileSync(file, /^```toml\n(.*?)^```$/ms.exec(text)?.[1] ?? '');
    assert.equal(readConfig(file).archives.length, 2);
  });
});

describe('every page', () => {
  it('links only to what is there', () => {
    let links = 0;
    for (const page of pages) {
      for (const { path, anchor } of linksOf(readPage(page))) {
        const target = path === '' ? page : join(dirname(page), path);
        assert.ok(existsSync(join(root, target)), `${page} links to ${target}, which is not there`);
        if (anchor !== '')
          assert.ok(anchorsOf(target).has(anchor), `${page} links to #${anchor}, which ${target} lacks`);
        links += 1;
      }
    }
    assert.ok(links > 10);
  });

  it('names only commands and options that exist', async () => {
    const known = [...(await helpOf('sparsebak')), ...(await helpOf('sparsebak-receiver'))];
    let commands = 0;
    for (const page of pages) {
      for (const [line] of readPage(page).matchAll(/^(?: {4}|(?:# )?)(?:sudo )?sparsebak(?:-receiver)? .*$/gm)) {
        const words = line.replace(/\s#.*$/, '').split(/\s+/);
        const start = words.findIndex((word) => word.startsWith('sparsebak'));
        const command = words.slice(start).filter((word, at) => at === 0 || /^[a-z]+$/.test(word));
        const found = known.filter(({ command: name }) => `${command.join(' ')} `.startsWith(`${name} `));
        const options = new Set(found.flatMap((each) => each.options));
        for (const word of words.filter((each) => each.startsWith('--'))) {
          assert.ok(options.has(word.replace(/=.*/, '')), `${page}: ${line.trim()}: there is no ${word}`);
        }
        const [, name] = command;
        if (name !== undefined) assert.ok(found.length > 1, `${page}: ${line.trim()}: there is no command ${name}`);
        commands += 1;
      }
    }
    assert.ok(commands > 10);
  });
});

describe('docs/testing.md', () => {
  it('explains every class of fault that a test names, and claims no test for one that names it not', () => {
    const [claimed, named] = [namedInPage(), namedInTests()];
    for (const id of named.keys()) assert.ok(claimed.has(id), `${id} is not explained`);
    for (const [id, files] of claimed) {
      for (const file of files.filter((each) => each !== '')) {
        assert.ok(named.get(id)?.includes(file), `${file} does not name ${id}`);
      }
    }
    assert.ok(claimed.size > 50);
  });
});
