/** Colours and drawing characters, where the terminal has them. */

/** Codes of SGR (ECMA-48), which every terminal knows. */
const CODES = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 } as const;
export type Colour = keyof typeof CODES;

/** Colours the text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

export const noColour: Paint = (_colour, text) => text;

/** Only on a terminal, and not for users who set NO_COLOR (no-color.org) or have a terminal without colours. */
export function painterFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  const { NO_COLOR: refused = '', TERM: terminal } = env;
  if (stream.isTTY !== true || refused !== '' || terminal === 'dumb') return noColour;
  return (colour, text) => (text === '' ? '' : `\x1b[${String(CODES[colour])}m${text}\x1b[0m`);
}

/** Whether the locale is UTF-8, so that the terminal can show block characters. */
export function hasUnicode({ LC_ALL: all, LC_CTYPE: type, LANG: language }: NodeJS.ProcessEnv = process.env): boolean {
  const locale = [all, type, language].find((value) => value !== undefined && value !== '') ?? '';
  return /utf-?8/i.test(locale);
}
