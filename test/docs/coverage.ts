// Which test files name which class of fault. Run by hand (node test/docs/coverage.ts) it writes them into
// docs/testing.md; cli-doc.test.ts checks that what stands there is true.

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPage, root } from './pages.ts';

const PAGE = 'docs/testing.md';
const ROW = /^\| ([WSALGI]\d{1,2}) \| (.*?) \| (.*?)\|$/gm;
/** One that is a whole string by itself is data. */
const IDENTIFIER = /(?!(?<=['"`])[A-Z]\d+['"`])\b[WSALGI]\d{1,2}\b/g;

/** Files by identifier, named as the page names them. */
export function namedInTests(): Map<string, string[]> {
  const named = new Map<string, string[]>();
  for (const file of globSync('**/*.ts', { cwd: join(root, 'test') }).sort()) {
    if (file.startsWith('docs/')) continue;
    for (const id of new Set(readFileSync(join(root, 'test', file), 'utf8').match(IDENTIFIER))) {
      named.set(id, [...(named.get(id) ?? []), file.replace(/(?:\.test)?\.ts$/, '')]);
    }
  }
  return named;
}

/** The same, as the page has it. */
export function namedInPage(): Map<string, string[]> {
  const rows = [...readPage(PAGE).matchAll(ROW)];
  return new Map(rows.map(([, id = '', , files = '']) => [id, files.split(',').map((file) => file.trim())]));
}

if (import.meta.main) {
  const named = namedInTests();
  const page = readPage(PAGE).replaceAll(ROW, (_, id: string, what: string) => {
    const files = named.get(id)?.join(', ') ?? '';
    return `| ${id} | ${what} | ${files === '' ? '' : `${files} `}|`;
  });
  writeFileSync(join(root, PAGE), page);
}
