/**
 * The bytes that a passphrase stands for (docs/format.md, section 9), so that the same words open a slot whichever
 * editor, keyboard or system they were typed on: without a byte order mark and line ends, as UTF-8 in normalisation
 * form C. What is not UTF-8 is taken as its bytes, so that no two passphrases fall together.
 */
import { equalBytes, plain } from './bytes.ts';

export interface Passphrase {
  readonly bytes: Uint8Array;
  /**
   * As releases before took it, byte for byte without the last newline, where that is something else. Opens, never
   * seals.
   */
  readonly older?: Uint8Array;
}

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const LF = 0x0a;
const CR = 0x0d;

/**
 * @param given what a file holds, a command printed or a person typed. @returns undefined where nothing is left of it
 */
export function passphraseOf(given: Uint8Array): Passphrase | undefined {
  const bytes = normalised(withoutLineEnds(withoutMark(given)));
  const older = plain(given.at(-1) === LF ? given.subarray(0, -1) : given);
  if (bytes.length === 0) return undefined;
  return equalBytes(bytes, older) ? { bytes } : { bytes, older };
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return equalBytes(bytes.subarray(0, MARK.length), MARK) ? bytes.subarray(MARK.length) : bytes;
}

/** Nobody can type one at the end of a passphrase; editors and other systems add them. */
function withoutLineEnds(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === LF || bytes[end - 1] === CR)) end--;
  return bytes.subarray(0, end);
}

function normalised(bytes: Uint8Array): Uint8Array {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return plain(Buffer.from(text.normalize('NFC')));
  } catch {
    return plain(bytes);
  }
}
