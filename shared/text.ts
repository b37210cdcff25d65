/** Text from elsewhere (the other side, a guest's file names, another program), escaped for a terminal and a log. */

/**
 * Controls (C0, DEL, C1), format characters (bidi controls, zero-width ones, the byte order mark), line and paragraph
 * separators, and lone surrogates: everything that moves the cursor, reorders or hides text, or does not survive
 * encoding.
 */
const UNFIT = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]$/u;

/**
 * The text with every unfit character as `\u{…}`, at most `max` UTF-16 code units long; `…` marks a cut. Never cuts
 * through an escape or a surrogate pair, and reads no further into the text than it shows.
 */
export function escapeText(text: string, max: number): string {
  let shown = '';
  let lastFit = 0; // The length at which an ellipsis still has room.
  for (const character of text) {
    const piece = UNFIT.test(character) ? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}` : character;
    if (shown.length + piece.length > max) return max < 1 ? '' : `${shown.slice(0, lastFit)}…`;
    shown += piece;
    if (shown.length < max) lastFit = shown.length;
  }
  return shown;
}
