// The pages of the documentation and what is in them.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

export const pages: readonly string[] = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).sort();

export interface Section {
  readonly heading: string;
  readonly text: string;
}

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** Split at headings of any level; what is in code blocks is none. */
export function sectionsOf(text: string): Section[] {
  const sections: { heading: string; text: string }[] = [];
  let fenced = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    const heading = fenced ? undefined : /^#+ (.*)$/.exec(line)?.[1];
    if (heading !== undefined) sections.push({ heading, text: '' });
    else {
      const last = sections.at(-1);
      if (last !== undefined) last.text += `${line}\n`;
    }
  }
  return sections;
}

/** As GitHub and others make it from a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

export function anchorsOf(page: string): ReadonlySet<string> {
  return new Set(sectionsOf(readPage(page)).map(({ heading }) => anchorOf(heading)));
}

export interface Link {
  /** Relative to the page's folder; empty for the page itself. */
  readonly path: string;
  /** Without `#`; empty for the whole page. */
  readonly anchor: string;
}

/** Those that stay within the project. */
export function linksOf(text: string): Link[] {
  const prose = text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/!?\[[^\]]*\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#');
      return { path, anchor };
    });
}
