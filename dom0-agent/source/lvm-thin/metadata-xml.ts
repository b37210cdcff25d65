/**
 * The XML that thin_delta and thin_dump print, and no other XML: elements in lower case, attributes in double quotes
 * without references, each after one space, white space between elements. No text, comments, declarations, CDATA or
 * entities. Numbers are decimal, without sign or leading zero, up to 2^53. Anything else throws.
 */
import { SparsebakError } from '../../../shared/errors.ts';

export type Tag =
  | { readonly kind: 'open' | 'empty'; readonly name: string; readonly attributes: Attributes }
  | { readonly kind: 'close'; readonly name: string };

/** Longer than any tag. */
const MAX_TAG = 1024;
const TAG = /^<(?:\/([a-z_]+)|([a-z_]+)((?: [a-z_]+="[^"<>&]*")*) ?(\/?))>$/;

export class Attributes {
  readonly #values = new Map<string, string>();

  constructor(text: string) {
    for (const [, name = '', value = ''] of text.matchAll(/([a-z_]+)="([^"]*)"/g)) {
      if (this.#values.has(name)) throw new SparsebakError('source', `the attribute ${name} is repeated`);
      this.#values.set(name, value);
    }
  }

  /** Throws unless exactly these are present, apart from optional ones. */
  expect(names: readonly string[], optional: readonly string[] = []): void {
    const missing = names.find((name) => !this.#values.has(name));
    const strange = [...this.#values.keys()].find((name) => !names.includes(name) && !optional.includes(name));
    if (missing !== undefined) throw new SparsebakError('source', `the attribute ${missing} is missing`);
    if (strange !== undefined) throw new SparsebakError('source', `the attribute ${strange} is unknown`);
  }

  text(name: string): string | undefined {
    return this.#values.get(name);
  }

  number(name: string): number {
    const text = this.#values.get(name) ?? '';
    const value = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value)) throw new SparsebakError('source', `${name}="${text.slice(0, 40)}" is no number`);
    return value;
  }
}

/** Takes text in pieces, cut anywhere, and passes on tags. */
export class TagReader {
  readonly #onTag: (tag: Tag) => void;
  #rest = '';

  constructor(onTag: (tag: Tag) => void) {
    this.#onTag = onTag;
  }

  text(piece: string): void {
    const text = this.#rest + piece;
    let at = 0;
    for (let end = text.indexOf('>', at); end >= 0; end = text.indexOf('>', at)) {
      const tag = text.slice(at, end + 1).replace(/^[ \n]+/, '');
      this.#onTag(parseTag(tag));
      at = end + 1;
    }
    this.#rest = text.slice(at).replace(/^[ \n]+/, '');
    if (this.#rest.length > MAX_TAG) throw strange(this.#rest);
  }

  /** Throws for a tag that has no end. */
  end(): void {
    if (this.#rest !== '') throw strange(this.#rest);
  }
}

function parseTag(text: string): Tag {
  const [, closed, opened, attributes = '', slash] = (text.length <= MAX_TAG ? TAG.exec(text) : null) ?? [];
  if (closed !== undefined) return { kind: 'close', name: closed };
  if (opened === undefined) throw strange(text);
  return { kind: slash === '/' ? 'empty' : 'open', name: opened, attributes: new Attributes(attributes) };
}

export function strange(text: string): SparsebakError {
  return new SparsebakError('source', `unexpected output: ${JSON.stringify(text.slice(0, 200))}`);
}
