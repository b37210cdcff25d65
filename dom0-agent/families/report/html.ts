/** HTML that can only be made with everything in it escaped. */
import { escapeText } from '../../../shared/text.ts';

/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Piece = Html | string | number | undefined | readonly Piece[];

/** A template in which every value that is not Html is escaped, for text and quoted attributes alike. */
export function markup(strings: TemplateStringsArray, ...values: readonly Piece[]): Html {
  return new Html(strings.map((text, at) => text + shown(values[at])).join(''));
}

function shown(piece: Piece): string {
  if (piece === undefined) return '';
  if (piece instanceof Html) return piece.text;
  if (typeof piece === 'number') return String(piece);
  if (typeof piece === 'string') return escapeHtml(piece);
  return piece.map(shown).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Controls and characters that reorder text are made visible, as on a terminal. */
export function escapeHtml(text: string): string {
  return escapeText(text, 4096).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
