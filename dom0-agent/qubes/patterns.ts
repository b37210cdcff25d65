/** Which qubes the configuration selects: names, globs of names, and `@include_in_backups`. */
import { isLiteral, nameMatcher } from '../source/glob.ts';

/** Qubes whose property of this name is true: the choice that the user made for Qubes' own backup. */
export const INCLUDED = '@include_in_backups';

export function isQubePattern(text: string): boolean {
  return text.startsWith('@') ? text === INCLUDED : text !== '' && !text.includes(':') && !text.includes('/');
}

export interface QubeTraits {
  readonly name: string;
  /** Its property `include_in_backups`; undefined: not known. */
  readonly included: boolean | undefined;
  /** Whether it is a disposable that is removed when it stops: only its full name selects it. */
  readonly fleeting: boolean;
}

/** Whether one pattern selects a qube. */
export function selectsQube(pattern: string, { name, included, fleeting }: QubeTraits): boolean {
  if (pattern === INCLUDED) return included === true && !fleeting;
  return nameMatcher([pattern], [])(name) && (!fleeting || isLiteral(pattern));
}
