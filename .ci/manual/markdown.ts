// The part of Markdown that docs/cli.md uses, as man(7): paragraphs, lists, tables, code.

import { bold, escapeRoff, italic, paragraph, subheading, tagged, textLines, verbatim } from './roff.ts';

export interface Section {
  readonly heading: string;
  /** 2 for `##`. */
  readonly level: number;
  readonly text: string;
}

export function sectionsOf(page: string): Section[] {
  return page.split(/^(?=#{2,4} )/m).map((part) => {
    const [, marks = '', heading = '', text = ''] = /^(#*) ?(.*)\n([^]*)$/.exec(part) ?? [];
    return { heading, level: marks.length, text };
  });
}

/** `code`, [links](…), **strong** and *emphasis*. */
export function inline(text: string): string {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]*\))/);
  return parts
    .map((part) => {
      if (part.startsWith('`')) return bold(part.slice(1, -1));
      if (part.startsWith('**')) return bold(part.slice(2, -2));
      const link = /^\[([^\]]+)\]\(/.exec(part)?.[1];
      if (link !== undefined) return inline(link);
      return part
        .split(/(?<![\w*])\*([^*\n]+)\*(?![\w*])/)
        .map((piece, at) => (at % 2 === 1 ? italic : escapeRoff)(piece))
        .join('');
    })
    .join('');
}

/** @param skip whether a block is left out */
export function asMan(text: string, skip: (block: string) => boolean = () => false): string {
  return blocksOf(text)
    .filter((block) => !skip(block))
    .map(manBlock)
    .join('\n');
}

/** Blocks are separated by empty lines, but a fenced block is one whatever it has. */
function blocksOf(text: string): string[] {
  return text
    .split(/^(```[^]*?^```)$/m)
    .flatMap((part) => (part.startsWith('```') ? [part] : part.split(/\n{2,}/)))
    .map((block) => block.replace(/^\n+|\s+$/g, ''))
    .filter((block) => block !== '');
}

function manBlock(block: string): string {
  const lines = block.split('\n');
  if (block.startsWith('```')) return verbatim(lines.slice(1, -1));
  if (block.startsWith('    ')) return verbatim(lines.map((line) => line.slice(4)));
  if (block.startsWith('|')) return table(lines);
  if (block.startsWith('- ')) return list(block);
  if (block.startsWith('#')) return subheading(block.replace(/^#+ /, ''));
  return paragraph(inline(block));
}

/** The cells of each row, without the heading. */
export function rowsOf(table: string): string[][] {
  return table
    .split('\n')
    .slice(2)
    .map((line) => line.replace(/^\| | \|$/g, '').split(/ \| |(?<= )\| /));
}

function table(lines: readonly string[]): string {
  const heading = (lines[0] ?? '').slice(2).split(/ \|(?: |$)/);
  return rowsOf(lines.join('\n'))
    .map(([first = '', ...others]) => {
      const cells = others.map((cell) => cell.trim());
      if (cells.length === 1) return tagged(inline(first), inline(shownCell(cells[0])));
      // A middle column is named, as far as it says anything.
      const named = cells
        .slice(0, -1)
        .flatMap((cell, at) => (cell === '' ? [] : `${heading[at + 1]?.trim() ?? ''}: ${cell}`));
      const remark = named.length === 0 ? '' : ` (${named.join('; ')})`;
      return tagged(`${inline(first)}${inline(remark)}`, inline(shownCell(cells.at(-1))));
    })
    .join('\n');
}

function shownCell(cell = ''): string {
  return cell === '' ? '-' : cell;
}

function list(block: string): string {
  const items = block.split(/^- /m).filter((item) => item !== '');
  return items.map((item) => `.IP \\(bu 2\n${textLines(inline(item))}`).join('\n');
}
