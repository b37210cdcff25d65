// Text for man(7). Everything that is not a letter, a digit or plain punctuation is escaped, so that groff and mandoc
// show the same characters, and a user can copy them.

import { wrapWords } from '../../shared/terminal/fit-width.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
  '’': '\\(cq',
  '→': '\\(->',
};

export function escapeRoff(text: string): string {
  return text.replaceAll(/[\\\-'`^~"]|[^\0-\x7f]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return ESCAPES[character] ?? `\\[u${code}]`;
  });
}

/** The longest line of running text in a page's source. */
const LINE = 78;

/** Lines of running text: none may begin like a request. */
export function textLines(escaped: string): string {
  return wrapWords(escaped.trim().replaceAll(/\s+/g, ' '), LINE)
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n');
}

export const bold = (text: string): string => `\\fB${escapeRoff(text)}\\fR`;
export const italic = (text: string): string => `\\fI${escapeRoff(text)}\\fR`;

/** Lines that keep their form. */
export function verbatim(lines: readonly string[]): string {
  const shown = lines.map((line) => {
    const escaped = escapeRoff(line);
    return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
  });
  return ['.PP', '.RS 4', '.nf', ...shown, '.fi', '.RE'].join('\n');
}

/** A tag, and below it, indented, the text. */
export function tagged(tag: string, text: string): string {
  return `.TP\n${textLines(tag)}\n${textLines(text)}`;
}

export function paragraph(text: string): string {
  return `.PP\n${textLines(text)}`;
}

export function heading(text: string): string {
  return `.SH ${escapeRoff(text.toUpperCase())}`;
}

export function subheading(text: string): string {
  return `.SS ${escapeRoff(text)}`;
}
